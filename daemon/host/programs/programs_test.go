package programs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/files"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/programs"
)

// TestMain lets this program be each of the tools when it is run under their names,
// in the root of a test: it notes its arguments there and says what it is told to.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	if strings.HasSuffix(name, ".test") || name == "exe" {
		os.Exit(asRoot(m))
	}
	line := name + " [" + strings.Join(os.Args[1:], "|") + "] " + os.Getenv("PATH") + "\n"
	log, err := os.OpenFile("/log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = log.WriteString(line)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(9)
	}
	if _, err := os.Stat("/slow"); err == nil {
		// Until somebody kills it.
		<-time.After(time.Hour)
	}
	if answer, err := os.Open("/answer"); err == nil {
		_, _ = io.Copy(os.Stdout, answer)
	}
	if problem, err := os.Open("/problem"); err == nil {
		_, _ = io.Copy(os.Stderr, problem)
		os.Exit(3)
	}
}

// asRoot runs the tests, in a user namespace if need be: a root for programs can be
// chosen by root alone.
func asRoot(m *testing.M) int {
	if os.Geteuid() == 0 {
		return m.Run()
	}
	again := exec.Command("/proc/self/exe", os.Args[1:]...)
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if err := again.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "running the tests in a user namespace:", err)
		return 1
	}
	return 0
}

// install makes a root with tools in it, which are this program.
func install(t *testing.T, tools ...string) (root string, m *programs.Machine) {
	t.Helper()
	root = t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range tools {
		put(t, root, tool, string(content), 0o755)
	}
	own, err := files.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = own.Close() })
	return root, programs.New(root, own)
}

func put(t *testing.T, root, name, content string, mode fs.FileMode) {
	t.Helper()
	at := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, root, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(data)
}

const path = " /usr/sbin:/usr/bin:/sbin:/bin\n"

// Each tool gets its arguments as they are, in the machine's own root.
func TestTools(t *testing.T) {
	root, m := install(t, "usr/bin/rpm-ostree", "usr/sbin/grubby", "usr/sbin/update-grub", "sbin/modprobe")
	ctx := t.Context()
	add, remove := []string{"intel_iommu=on", "iommu=pt"}, []string{"pci=realloc"}
	for _, tool := range []string{host.ToolRPMOSTree, host.ToolGrubby} {
		if err := m.SetKernelArguments(ctx, tool, add, remove); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.LoadModule(ctx, "vfio_pci"); err != nil {
		t.Fatal(err)
	}
	want := "rpm-ostree [kargs|--append-if-missing=intel_iommu=on|--append-if-missing=iommu=pt|--delete-if-present=pci=realloc]" + path +
		"grubby [--update-kernel=ALL|--args=intel_iommu=on iommu=pt|--remove-args=pci=realloc]" + path +
		"modprobe [--|vfio_pci]" + path
	if diff := cmp.Diff(want, read(t, root, "log")); diff != "" {
		t.Errorf("what was run (-want +got):\n%s", diff)
	}
	put(t, root, "answer", "index=0\nkernel=\"/boot/vmlinuz\"\nargs=\"ro quiet iommu=pt\"\nroot=\"/dev/sda1\"\n", 0o644)
	if got, err := m.KernelArguments(ctx, host.ToolGrubby); err != nil || !cmp.Equal(got, []string{"ro", "quiet", "iommu=pt"}) {
		t.Errorf("grubby: %v, %v", got, err)
	}
	put(t, root, "answer", "ro quiet iommu=pt\n", 0o644)
	if got, err := m.KernelArguments(ctx, host.ToolRPMOSTree); err != nil || !cmp.Equal(got, []string{"ro", "quiet", "iommu=pt"}) {
		t.Errorf("rpm-ostree: %v, %v", got, err)
	}
}

// The drop-in of update-grub has what we added, keeps what others set, and goes with
// the last argument.
func TestUpdateGrub(t *testing.T) {
	root, m := install(t, "usr/sbin/update-grub")
	ctx := t.Context()
	for _, change := range []struct{ add, remove, want []string }{
		{[]string{"intel_iommu=on", "iommu=pt"}, nil, []string{"intel_iommu=on", "iommu=pt"}},
		{[]string{"iommu=pt", "pci=realloc"}, []string{"intel_iommu=on"}, []string{"iommu=pt", "pci=realloc"}},
		{nil, []string{"iommu=pt", "pci=realloc"}, nil},
	} {
		if err := m.SetKernelArguments(ctx, host.ToolUpdateGrub, change.add, change.remove); err != nil {
			t.Fatal(err)
		}
		got, err := m.KernelArguments(ctx, host.ToolUpdateGrub)
		if err != nil || !cmp.Equal(got, change.want) {
			t.Errorf("after adding %v and removing %v: %v, %v", change.add, change.remove, got, err)
		}
		text := read(t, root, programs.DropIn)
		if has := strings.Contains(text, `GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX `+strings.Join(change.want, " ")+`"`); has != (change.want != nil) {
			t.Errorf("the drop-in is %q", text)
		}
	}
	if got := strings.Count(read(t, root, "log"), "update-grub []"); got != 3 {
		t.Errorf("update-grub has run %d times", got)
	}
}

// What a program says when it fails is in the error; one that does not end is ended.
func TestProgramsFail(t *testing.T) {
	root, m := install(t, "usr/sbin/grubby")
	put(t, root, "problem", strings.Repeat("x", 5000)+"no space left in /boot\n", 0o644)
	err := m.SetKernelArguments(t.Context(), host.ToolGrubby, []string{"iommu=pt"}, nil)
	var refused *host.Error
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "no space left in /boot") || !strings.Contains(err.Error(), "exit status 3") || len(err.Error()) > 3000 {
		t.Errorf("a failing tool: %v", err)
	}
	if err := m.LoadModule(t.Context(), "vfio_pci"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without modprobe: %v", err)
	}
	for _, bad := range []string{"a b", `x="$(reboot)"`, "-x", "a;b", "--args=x"} {
		if err := m.SetKernelArguments(t.Context(), host.ToolGrubby, []string{bad}, nil); err == nil {
			t.Errorf("%q was taken for an argument", bad)
		}
	}
	if err := m.LoadModule(t.Context(), "../evil"); err == nil {
		t.Error("a path was taken for a module")
	}
	if err := m.SetKernelArguments(t.Context(), "lilo", nil, nil); err == nil {
		t.Error("an unknown tool was taken")
	}
	put(t, root, "slow", "", 0o644)
	late := errors.New("the time is over")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, late)
	defer cancel()
	if err := m.SetKernelArguments(ctx, host.ToolGrubby, []string{"iommu=pt"}, nil); !errors.Is(err, late) {
		t.Errorf("a tool that does not end: %v", err)
	}
}
