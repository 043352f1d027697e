package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// netdevsim is in no kernel of Debian: it is built from the kernel's source, as it
// is and with our patch.
const (
	netdevsimSource = "drivers/net/netdevsim"
	netdevsimPatch  = "test/vm/netdevsim/netdevsim.patch"
)

// variant of netdevsim that a machine loads.
type variant string

const (
	noNetdevsim variant = ""
	stock       variant = "stock"
	patched     variant = "patched"
)

// fetchModuleSource unpacks what modules for the kernel are built with, and the
// source of netdevsim.
func (l *lab) fetchModuleSource(ctx context.Context) error {
	say("  headers and source of the kernel")
	flavourless := strings.TrimSuffix(l.release, "-amd64")
	version := regexp.MustCompile(`^[0-9]+\.[0-9]+`).FindString(l.release)
	headers := []string{"linux-headers-" + l.release, "linux-headers-" + flavourless + "-common", "linux-kbuild-" + flavourless}
	source := "linux-source-" + version + "/" + suite + "-backports"
	if _, err := l.apt(ctx, "apt-get", append([]string{"-qq", "download", source}, headers...)...); err != nil {
		return err
	}
	for _, name := range headers {
		if err := l.unpackNamed(ctx, name, "headers"); err != nil {
			return err
		}
	}
	if err := l.unpackNamed(ctx, "linux-source-"+version, "source"); err != nil {
		return err
	}
	archive := l.path("source/usr/src/linux-source-" + version + ".tar.xz")
	inside := "linux-source-" + version
	if _, err := l.run(ctx, l.dir, "tar", "-xJf", archive, "--strip-components=4", "-C", l.path("netdevsim"), inside+"/"+netdevsimSource); err != nil {
		return err
	}
	if err := os.RemoveAll(l.path("source")); err != nil {
		return err
	}
	return l.relocateHeaders(flavourless)
}

// unpackNamed unpacks a package that was fetched into debs.
func (l *lab) unpackNamed(ctx context.Context, name, folder string) error {
	found, err := filepath.Glob(l.path("debs", name+"_*.deb"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("apt fetched %d packages %s: %w", len(found), name, err)
	}
	return l.unpack(ctx, folder, found...)
}

// relocateHeaders lets the headers' Makefile include its other half where it is: it
// names the place where the package would be installed.
func (l *lab) relocateHeaders(flavourless string) error {
	name := l.path("headers/usr/src/linux-headers-"+l.release, "Makefile")
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	common := l.path("headers/usr/src/linux-headers-"+flavourless+"-common", "Makefile")
	moved := regexp.MustCompile(`(?m)^include .*$`).ReplaceAllLiteralString(string(data), "include "+common)
	return os.WriteFile(name, []byte(moved), 0o644)
}

// netdevsimModule returns the file of a variant of the module, built if it is not in
// the cache. The patch is part of its name there.
func (b *builder) netdevsimModule(ctx context.Context, v variant) (string, error) {
	patch, err := os.ReadFile(filepath.Join(b.root, netdevsimPatch))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(patch)
	name := string(v)
	if v == patched {
		name += "-" + hex.EncodeToString(sum[:8])
	}
	built := b.path("modules", name+".ko")
	if _, err := os.Stat(built); err == nil {
		return built, nil
	}
	say("building netdevsim (%s) for kernel %s, once", v, b.release)
	folder := filepath.Join(b.work, "netdevsim-"+string(v))
	if err := os.CopyFS(folder, os.DirFS(b.path("netdevsim"))); err != nil {
		return "", err
	}
	if v == patched {
		if _, err := b.run(ctx, folder, "git", "apply", "--unidiff-zero", "-p2", filepath.Join(b.root, netdevsimPatch)); err != nil {
			return "", fmt.Errorf("patching netdevsim: %w", err)
		}
	}
	return built, b.buildModule(ctx, folder, built)
}

// buildModule compiles a module out of tree. CONFIG_DEBUG_INFO_BTF_MODULES asks for
// pahole, and deletes the module without it.
func (b *builder) buildModule(ctx context.Context, folder, built string) error {
	headers := b.path("headers/usr/src/linux-headers-" + b.release)
	if _, err := b.run(ctx, folder, "make", "-s", "-j2", "-C", headers, "M="+folder, "CONFIG_NETDEVSIM=m", "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"); err != nil {
		return fmt.Errorf("building netdevsim: %w", err)
	}
	module := filepath.Join(folder, "netdevsim.ko")
	if _, err := b.run(ctx, folder, "strip", "-g", module); err != nil {
		return err
	}
	data, err := os.ReadFile(module)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(built), 0o755); err != nil {
		return err
	}
	// Renamed into place: a build that was stopped leaves nothing that looks whole.
	if err := os.WriteFile(built+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(built+".new", built)
}
