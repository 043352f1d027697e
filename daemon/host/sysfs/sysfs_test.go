package sysfs_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/sysfs"
)

const (
	device  = "sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0"
	numVFs  = device + "/sriov_numvfs"
	viaLink = "sys/bus/pci/devices/0000:3b:00.0"
)

// tree is a machine's root with one PF, its driver, and a file outside.
func tree(t *testing.T) (root string, files *sysfs.FS) {
	t.Helper()
	outside := t.TempDir()
	root = filepath.Join(outside, "root")
	for _, dir := range []string{device, "sys/bus/pci/devices", "sys/bus/pci/drivers/mlx5_core", "proc/sys/kernel/random"} {
		check(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	for name, content := range map[string]string{
		"root/" + numVFs: "4\n", "root/" + device + "/vendor": "0x15b3\n", "secret": "do not read\n",
		"root/proc/sys/kernel/random/boot_id": "b00t\n",
	} {
		check(t, os.WriteFile(filepath.Join(outside, name), []byte(content), 0o644))
	}
	for name, target := range map[string]string{
		viaLink:             "../../../devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0",
		device + "/driver":  "../../../../bus/pci/drivers/mlx5_core",
		device + "/virtfn0": "../0000:3b:00.2",
		device + "/up":      "../../../../../../secret",
		device + "/abs":     filepath.Join(outside, "secret"),
	} {
		check(t, os.Symlink(target, filepath.Join(root, name)))
	}
	check(t, unix.Mkfifo(filepath.Join(root, device, "fifo"), 0o600))
	files, err := sysfs.Open(root)
	check(t, err)
	t.Cleanup(func() { check(t, files.Close()) })
	return root, files
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRead(t *testing.T) {
	_, files := tree(t)
	ctx := t.Context()
	for name, want := range map[string]string{
		numVFs: "4\n", viaLink + "/sriov_numvfs": "4\n", "proc/sys/kernel/random/boot_id": "b00t\n",
	} {
		got, err := files.ReadFile(ctx, name)
		if string(got) != want || err != nil {
			t.Errorf("ReadFile(%s) = %q, %v", name, got, err)
		}
	}
	target, err := files.ReadLink(ctx, viaLink+"/driver")
	if target != "../../../../bus/pci/drivers/mlx5_core" || err != nil {
		t.Errorf("ReadLink = %q, %v", target, err)
	}
	names, err := files.ReadDir(ctx, viaLink)
	if diff := cmp.Diff([]string{"abs", "driver", "fifo", "sriov_numvfs", "up", "vendor", "virtfn0"}, names); diff != "" || err != nil {
		t.Errorf("ReadDir: %v (-want +got):\n%s", err, diff)
	}
}

func TestRefused(t *testing.T) {
	_, files := tree(t)
	ctx := t.Context()
	read := func(name string) error { _, err := files.ReadFile(ctx, name); return err }
	write := func(name string) error { return files.WriteFile(ctx, name, []byte("1")) }
	_, dirErr := files.ReadDir(ctx, "sys/bus/usb")
	_, linkErr := files.ReadLink(ctx, device+"/iommu_group")
	tests := []struct {
		name string
		err  error
		is   error
		text string
	}{
		{"missing file", read(device + "/sriov_totalvfs"), fs.ErrNotExist, "reading sriov_totalvfs on 0000:3b:00.0: no such file or directory"},
		{"missing folder", dirErr, fs.ErrNotExist, "listing usb on bus: "},
		{"missing link", linkErr, fs.ErrNotExist, "reading the link iommu_group on 0000:3b:00.0: "},
		{"dangling link", read(device + "/virtfn0/vendor"), fs.ErrNotExist, ""},
		{"out of the root", read(device + "/up"), nil, "escapes"},
		{"absolute link", read(device + "/abs"), nil, "escapes"},
		{"absolute path", read("/etc/hostname"), nil, "not relative"},
		{"unclean path", read("sys/../../etc/hostname"), nil, "not relative"},
		{"written file must exist", write(device + "/new"), fs.ErrNotExist, "writing 1 to new on 0000:3b:00.0: "},
		{"written folder", write(device), nil, "not an attribute"},
		{"written FIFO", write(device + "/fifo"), nil, "not an attribute"},
	}
	for _, test := range tests {
		var refusal *host.Error
		if !errors.As(test.err, &refusal) {
			t.Errorf("%s: %v is no host.Error", test.name, test.err)
			continue
		}
		if test.is != nil && !errors.Is(test.err, test.is) || !strings.Contains(test.err.Error(), test.text) {
			t.Errorf("%s: %v", test.name, test.err)
		}
	}
	if err := read(device + "/sriov_totalvfs"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("the errno is lost: %v", err)
	}
}

func TestWrite(t *testing.T) {
	root, files := tree(t)
	check(t, files.WriteFile(t.Context(), viaLink+"/sriov_numvfs", []byte("8")))
	got, err := os.ReadFile(filepath.Join(root, numVFs))
	check(t, err)
	// "4\n" is overwritten, not truncated: sysfs attributes have no length.
	if string(got) != "8\n" {
		t.Errorf("the attribute is %q", got)
	}
	if _, err := os.Stat(filepath.Join(root, device, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was created: %v", err)
	}
}

// TestBlockedWrite has the kernel hold a write, as a driver holds one to
// sriov_numvfs: a lease on the file keeps writers out until it is given back.
func TestBlockedWrite(t *testing.T) {
	root, files := tree(t)
	holder, err := os.Open(filepath.Join(root, numVFs))
	check(t, err)
	defer func() { _ = holder.Close() }()
	// The kernel tells the holder by SIGIO, which Go programs ignore.
	_, err = unix.FcntlInt(holder.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	check(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = files.WriteFile(ctx, numVFs, []byte("8"))
	want := "writing 8 to sriov_numvfs on 0000:3b:00.0: the kernel has not returned: context deadline exceeded"
	if !errors.Is(err, context.DeadlineExceeded) || err.Error() != want {
		t.Fatalf("a blocked write: %v\nwant %s", err, want)
	}
	if err := files.WriteFile(t.Context(), numVFs, []byte("8")); !errors.Is(err, bounded.ErrPending) {
		t.Errorf("a second write: %v", err)
	}
	if _, err := files.ReadFile(t.Context(), device+"/vendor"); err != nil {
		t.Errorf("another attribute: %v", err)
	}

	_, err = unix.FcntlInt(holder.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	check(t, err)
	// The abandoned write takes its effect, after which the attribute is free.
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		err := files.WriteFile(t.Context(), numVFs, []byte("2"))
		if err == nil {
			break
		}
		if !errors.Is(err, bounded.ErrPending) {
			t.Fatal(err)
		}
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatal("the write never returned")
		}
	}
	got, err := files.ReadFile(t.Context(), numVFs)
	if string(got) != "2\n" || err != nil {
		t.Errorf("the attribute is %q, %v", got, err)
	}
}

// TestRealSysfs reads this machine's own sysfs and procfs.
func TestRealSysfs(t *testing.T) {
	files, err := sysfs.Open("/")
	check(t, err)
	defer func() { check(t, files.Close()) }()
	id, err := files.ReadFile(t.Context(), "proc/sys/kernel/random/boot_id")
	if len(strings.TrimSpace(string(id))) != 36 || err != nil {
		t.Errorf("boot id %q, %v", id, err)
	}
	mtu, err := files.ReadFile(t.Context(), "sys/class/net/lo/mtu")
	if len(mtu) == 0 || err != nil {
		t.Errorf("MTU of lo %q, %v", mtu, err)
	}
	// The kernel's own refusal: lo has no speed.
	_, err = files.ReadFile(t.Context(), "sys/class/net/lo/speed")
	if !errors.Is(err, syscall.EINVAL) {
		t.Errorf("speed of lo: %v, want EINVAL", err)
	}
}

func TestOpenMissingRoot(t *testing.T) {
	if _, err := sysfs.Open(filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open = %v", err)
	}
}
