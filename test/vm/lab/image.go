package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// builder makes what machines boot, in a folder of its own.
type builder struct {
	*lab
	root, work string
}

// image writes the initial RAM file system of a machine: its first process, the
// test binary, and modules; for a node of a cluster the operator's binary and the
// way to the cluster as well.
func (b *builder) image(ctx context.Context, g guest, kubeconfig []byte) (string, error) {
	files := newArchive()
	programs := map[string][]string{
		"init": {"build", "./test/vm/init"},
		"test": {"test", "-c", "-tags", "vm", "./test/vm/guest/" + g.suite},
	}
	if kubeconfig != nil {
		programs["operator"] = []string{"build", "."}
		files.add("kubeconfig", 0o600, kubeconfig)
	}
	for name, command := range programs {
		data, err := b.compile(ctx, name, command...)
		if err != nil {
			return "", err
		}
		files.add(name, 0o755, data)
	}
	if err := b.addModules(ctx, files, g); err != nil {
		return "", err
	}
	image := filepath.Join(b.work, g.name+".cpio")
	return image, files.write(image)
}

// compile builds a static program with a go command and returns it.
func (b *builder) compile(ctx context.Context, name string, command ...string) ([]byte, error) {
	out := filepath.Join(b.work, name)
	target := command[len(command)-1]
	arguments := append(append([]string(nil), command[:len(command)-1]...), "-trimpath", "-ldflags=-s -w", "-o", out, target)
	cmd := exec.CommandContext(ctx, "go", arguments...)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s: %w\n%s", target, err, text)
	}
	return os.ReadFile(out)
}

func (b *builder) addModules(ctx context.Context, files *archive, g guest) error {
	found, err := b.findModules()
	if err != nil {
		return err
	}
	builtin, err := b.builtin()
	if err != nil {
		return err
	}
	for _, name := range g.modules {
		file, ok := found[strings.ReplaceAll(name, "-", "_")]
		switch {
		case builtin[strings.ReplaceAll(name, "-", "_")]:
			continue
		case !ok:
			return fmt.Errorf("kernel %s has no module %s", b.release, name)
		}
		data, err := os.ReadFile(file)
		if strings.HasSuffix(file, ".xz") {
			data, err = exec.CommandContext(ctx, "xz", "-dc", file).Output()
		}
		if err != nil {
			return fmt.Errorf("reading module %s: %w", name, err)
		}
		files.add("modules/"+name+".ko", 0o644, data)
	}
	if g.netdevsim == noNetdevsim {
		return nil
	}
	module, err := b.netdevsimModule(ctx, g.netdevsim)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(module)
	files.add("modules/netdevsim.ko", 0o644, data)
	return err
}

// findModules returns the file of each module by its name with underscores.
func (b *builder) findModules() (map[string]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(b.path("kernel/lib/modules"), func(name string, _ os.DirEntry, err error) error {
		base := strings.TrimSuffix(filepath.Base(name), ".xz")
		if module, ok := strings.CutSuffix(base, ".ko"); ok {
			found[strings.ReplaceAll(module, "-", "_")] = name
		}
		return err
	})
	return found, err
}

// builtin returns the names of modules that are part of the kernel itself.
func (b *builder) builtin() (map[string]bool, error) {
	data, err := os.ReadFile(b.path("kernel/lib/modules", b.release, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		name := strings.TrimSuffix(filepath.Base(strings.TrimSpace(line)), ".ko")
		out[strings.ReplaceAll(name, "-", "_")] = true
	}
	return out, nil
}
