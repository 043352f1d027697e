package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// suite is the release whose backports have a QEMU with igb cards.
const suite = "bookworm"

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// complete is the file that says that the lab is, and holds the name of the kernel's
// release. Another recipe has another name.
const complete = "release-2"

// lab is the folder with everything that the machines are made of.
type lab struct {
	dir string
	// release of the kernel: "6.12.95+deb12-amd64".
	release string
}

// openLab returns the lab in the cache, made if there is none.
func openLab(ctx context.Context) (*lab, error) {
	base := os.Getenv("VM_CACHE")
	if base == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("finding the cache folder (or set VM_CACHE): %w", err)
		}
		base = filepath.Join(cache, "sriov-offload-operator", "vm")
	}
	l := &lab{dir: base}
	data, err := os.ReadFile(l.path(complete))
	switch {
	case err == nil:
		l.release = strings.TrimSpace(string(data))
		return l, nil
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	say("fetching QEMU and a kernel from Debian into %s (about 310 MB, once)", base)
	if err := l.fetch(ctx); err != nil {
		return nil, fmt.Errorf("fetching what the machines are made of: %w", err)
	}
	return l, nil
}

func (l *lab) path(elements ...string) string {
	return filepath.Join(append([]string{l.dir}, elements...)...)
}

// fetch fills the lab. The name of the release is written last: without it the lab
// is not complete, and is made anew.
func (l *lab) fetch(ctx context.Context) error {
	for _, tool := range []string{"apt-get", "apt-cache", "dpkg-deb", "xz", "tar", "make", "gcc", "strip", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: the machines are made of Debian packages", err)
		}
	}
	if err := os.RemoveAll(l.dir); err != nil {
		return err
	}
	for _, folder := range []string{"apt/sources", "apt/lists/partial", "apt/cache/archives/partial", "debs", "qemu", "kernel", "headers", "source", "netdevsim"} {
		if err := os.MkdirAll(l.path(folder), 0o755); err != nil {
			return err
		}
	}
	if err := l.sources(ctx); err != nil {
		return err
	}
	say("  reading package lists")
	if _, err := l.apt(ctx, "apt-get", "-qq", "update"); err != nil {
		return err
	}
	image, err := l.kernelPackage(ctx)
	if err != nil {
		return err
	}
	l.release = strings.TrimPrefix(image, "linux-image-")
	if err := l.fetchQEMU(ctx); err != nil {
		return err
	}
	if err := l.fetchKernel(ctx, image); err != nil {
		return err
	}
	if err := l.fetchModuleSource(ctx); err != nil {
		return err
	}
	for _, folder := range []string{"apt", "debs"} {
		if err := os.RemoveAll(l.path(folder)); err != nil {
			return err
		}
	}
	return os.WriteFile(l.path(complete), []byte(l.release+"\n"), 0o644)
}

// sources writes the package source: DEBIAN_MIRROR, else the mirror that this
// machine uses itself.
func (l *lab) sources(ctx context.Context) error {
	mirror := os.Getenv("DEBIAN_MIRROR")
	if mirror == "" {
		out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages").Output()
		if err != nil {
			return fmt.Errorf("asking apt for this machine's mirror: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			if words := strings.Fields(line); len(words) == 3 && words[0] == "Debian" && words[1] == "Debian" {
				mirror = words[2]
			}
		}
	}
	if mirror == "" {
		return errors.New("this machine has no Debian mirror: set DEBIAN_MIRROR to the URI of one")
	}
	text := fmt.Sprintf("Types: deb\nURIs: %s\nSuites: %s %s-backports\nComponents: main\nSigned-By: %s\n", mirror, suite, suite, keyring)
	// An empty list of installed packages: what is fetched does not depend on this machine.
	return errors.Join(
		os.WriteFile(l.path("apt/sources/lab.sources"), []byte(text), 0o644),
		os.WriteFile(l.path("apt/status"), nil, 0o644))
}

// apt runs a tool of apt on the lab's own state.
func (l *lab) apt(ctx context.Context, tool string, arguments ...string) (string, error) {
	options := []string{
		"Dir::Etc::SourceList=/dev/null", "Dir::Etc::SourceParts=" + l.path("apt/sources"), "Dir::State::Lists=" + l.path("apt/lists"),
		"Dir::Cache=" + l.path("apt/cache"), "Dir::State::status=" + l.path("apt/status"), "APT::Sandbox::User=", "Acquire::Languages=none",
		"Acquire::Retries=3",
	}
	var all []string
	for _, o := range options {
		all = append(all, "-o", o)
	}
	return l.run(ctx, l.path("debs"), tool, append(all, arguments...)...)
}

// run runs a program in a folder and returns what it prints.
func (l *lab) run(ctx context.Context, dir, name string, arguments ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.Dir = dir
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, errs.String())
	}
	return string(out), nil
}

var dependsOn = regexp.MustCompile(`(?m)^Depends: (linux-image-[^ ,]+)`)

// kernelPackage resolves the newest kernel: versions leave the mirror when they are
// superseded.
func (l *lab) kernelPackage(ctx context.Context) (string, error) {
	out, err := l.apt(ctx, "apt-cache", "show", "linux-image-amd64/"+suite+"-backports")
	if err != nil {
		return "", err
	}
	found := dependsOn.FindStringSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("linux-image-amd64 names no kernel:\n%s", out)
	}
	return found[1], nil
}

// fetchQEMU unpacks QEMU with all its libraries.
func (l *lab) fetchQEMU(ctx context.Context) error {
	say("  QEMU")
	if _, err := l.apt(ctx, "apt-get", "-qq", "-y", "-t", suite+"-backports", "--no-install-recommends", "--download-only", "install", "qemu-system-x86"); err != nil {
		return err
	}
	packages, err := filepath.Glob(l.path("apt/cache/archives/*.deb"))
	if err != nil || len(packages) == 0 {
		return fmt.Errorf("apt fetched no package: %w", err)
	}
	return l.unpack(ctx, "qemu", packages...)
}

func (l *lab) unpack(ctx context.Context, folder string, packages ...string) error {
	for _, p := range packages {
		if _, err := l.run(ctx, l.dir, "dpkg-deb", "-x", p, l.path(folder)); err != nil {
			return err
		}
	}
	return nil
}

// fetchKernel unpacks the kernel and its modules.
func (l *lab) fetchKernel(ctx context.Context, image string) error {
	say("  kernel %s", l.release)
	if _, err := l.apt(ctx, "apt-get", "-qq", "download", image); err != nil {
		return err
	}
	return l.unpackNamed(ctx, image, "kernel")
}
