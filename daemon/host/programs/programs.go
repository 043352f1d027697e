package programs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Bounds of programs: making grub.cfg looks at all disks, and rpm-ostree writes a
// new deployment.
const (
	loaderBound = 5 * time.Minute
	moduleBound = time.Minute
	// killWait is how long a program that was told to end may take.
	killWait = 5 * time.Second
)

// DropIn is our file of arguments for update-grub, below the machine's root.
const DropIn = "etc/default/grub.d/60-sriov-offload-operator.cfg"

// maxOutput of a program is kept for errors: the end of it, where the reason is.
const maxOutput = 2 << 10

// argument is a kernel argument that means the same to a shell, which reads the
// drop-in, and to the kernel.
var argument = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(=[A-Za-z0-9_.,:-]*)?$`)

// module is the name of one.
var module = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)

// Machine runs the programs of the machine at a root.
type Machine struct {
	root  string
	files host.Files
}

var _ host.Machine = (*Machine)(nil)

// New returns the programs of the machine at root, an absolute path. Files are
// those of the same machine.
func New(root string, files host.Files) *Machine { return &Machine{root: root, files: files} }

// KernelArguments implements host.Machine.
func (m *Machine) KernelArguments(ctx context.Context, tool string) ([]string, error) {
	switch tool {
	case host.ToolRPMOSTree:
		out, err := m.run(ctx, loaderBound, rpmOSTree, "kargs")
		return strings.Fields(out), err
	case host.ToolGrubby:
		out, err := m.run(ctx, loaderBound, grubby, "--info=DEFAULT")
		return grubbyArguments(out), err
	case host.ToolUpdateGrub:
		data, err := os.ReadFile(filepath.Join(m.root, DropIn))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, failed("reading kernel arguments", "/"+DropIn, err)
		}
		return dropInArguments(string(data)), nil
	}
	return nil, unknown(tool)
}

// SetKernelArguments implements host.Machine.
func (m *Machine) SetKernelArguments(ctx context.Context, tool string, add, remove []string) error {
	for _, a := range slices.Concat(add, remove) {
		if !argument.MatchString(a) {
			return failed("changing kernel arguments", tool, fmt.Errorf("%q is not written as an argument", a))
		}
	}
	switch tool {
	case host.ToolRPMOSTree:
		args := []string{"kargs"}
		for _, a := range add {
			args = append(args, "--append-if-missing="+a)
		}
		for _, a := range remove {
			args = append(args, "--delete-if-present="+a)
		}
		_, err := m.run(ctx, loaderBound, rpmOSTree, args...)
		return err
	case host.ToolGrubby:
		args := []string{"--update-kernel=ALL"}
		if len(add) > 0 {
			args = append(args, "--args="+strings.Join(add, " "))
		}
		if len(remove) > 0 {
			args = append(args, "--remove-args="+strings.Join(remove, " "))
		}
		_, err := m.run(ctx, loaderBound, grubby, args...)
		return err
	case host.ToolUpdateGrub:
		return m.updateGrub(ctx, add, remove)
	}
	return unknown(tool)
}

// updateGrub writes the drop-in anew, or removes it when it says nothing more, and
// lets grub.cfg be made from it.
func (m *Machine) updateGrub(ctx context.Context, add, remove []string) error {
	now, err := m.KernelArguments(ctx, host.ToolUpdateGrub)
	if err != nil {
		return err
	}
	var want []string
	for _, a := range slices.Concat(now, add) {
		if !slices.Contains(remove, a) && !slices.Contains(want, a) {
			want = append(want, a)
		}
	}
	if len(want) == 0 {
		err = m.files.Remove(ctx, DropIn)
	} else {
		_, err = m.files.Put(ctx, DropIn, []byte(dropIn(want)), false)
	}
	if err != nil {
		return err
	}
	_, err = m.run(ctx, loaderBound, updateGrub)
	return err
}

// LoadModule implements host.Machine.
func (m *Machine) LoadModule(ctx context.Context, name string) error {
	if !module.MatchString(name) {
		return failed("loading a module", name, errors.New("it is no name of a module"))
	}
	_, err := m.run(ctx, moduleBound, modprobe, "--", name)
	return err
}

// Places of programs below the root, in the order of looking.
var (
	rpmOSTree  = []string{"usr/bin/rpm-ostree"}
	grubby     = []string{"usr/sbin/grubby", "usr/bin/grubby", "sbin/grubby"}
	updateGrub = []string{"usr/sbin/update-grub", "usr/bin/update-grub"}
	modprobe   = []string{"usr/sbin/modprobe", "usr/bin/modprobe", "sbin/modprobe"}
)

// run runs the first of the places at which there is a program, in the machine's
// root, and returns what it wrote. When the context ends it is ended, with all that
// it has started.
func (m *Machine) run(ctx context.Context, bound time.Duration, places []string, args ...string) (string, error) {
	i := slices.IndexFunc(places, func(p string) bool {
		_, err := os.Stat(filepath.Join(m.root, p))
		return err == nil
	})
	words := strings.Join(append([]string{"running " + filepath.Base(places[0])}, args...), " ")
	if i < 0 {
		return "", failed(words, "/"+places[0], fs.ErrNotExist)
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	program := "/" + places[i]
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the programs are those of this package, and there is no shell
	var stdout, all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both{&stdout, &all}, &all
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if m.root != "/" {
		cmd.SysProcAttr.Chroot = m.root
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killWait
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return "", failed(words, program, fmt.Errorf("it did not end in time: %w", context.Cause(ctx)))
	}
	return "", failed(words, program, fmt.Errorf("%w%s", err, said(all.Bytes())))
}

// both writes to two buffers.
type both struct{ one, other *bytes.Buffer }

// Write implements io.Writer.
func (b *both) Write(p []byte) (int, error) {
	b.one.Write(p)
	return b.other.Write(p)
}

// said is the end of what a program wrote.
func said(out []byte) string {
	text := strings.TrimSpace(string(out[max(0, len(out)-maxOutput):]))
	if text == "" {
		return ", and it said nothing"
	}
	return ": " + text
}

func failed(op, object string, err error) error {
	out := &host.Error{Op: op, Object: object, Err: err}
	if errors.As(err, &out.Errno) {
		out.Err = nil
	}
	return out
}

func unknown(tool string) error {
	return failed("changing kernel arguments", tool, errors.New("it is no tool of a boot loader that is known"))
}
