package kmsg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const device = "0000:3b:00.0"

func TestParseRecord(t *testing.T) {
	tests := []struct {
		name, data string
		want       record
		ok         bool
		mentions   bool
	}{
		{"text names it", "3,1042,5140900,-;mlx5_core 0000:3b:00.0: E-Switch: Disable: mode(LEGACY)\n",
			record{kernel: true, text: "mlx5_core 0000:3b:00.0: E-Switch: Disable: mode(LEGACY)"}, true, true},
		{"fields name it", "4,1043,5140901,-;not enough MMIO resources for SR-IOV\n SUBSYSTEM=pci\n DEVICE=+pci:0000:3b:00.0\n",
			record{kernel: true, text: "not enough MMIO resources for SR-IOV", device: "+pci:0000:3b:00.0"}, true, true},
		{"another device", "6,1044,5140902,-;igb 0000:01:00.0: 3 VFs allocated\n", record{kernel: true, text: "igb 0000:01:00.0: 3 VFs allocated"}, true, false},
		{"a process", "14,1045,5140903,-;0000:3b:00.0 is mine\n", record{text: "0000:3b:00.0 is mine"}, true, true},
		{"more in the prefix", "6,1,2,-,caller=T1;text;more\n", record{kernel: true, text: "text;more"}, true, false},
		{"no prefix", "text\n", record{}, false, false},
		{"no numbers", "a,b,c,-;text\n", record{}, false, false},
		{"no comma", "6;text\n", record{}, false, false},
	}
	for _, test := range tests {
		got, ok := parseRecord([]byte(test.data))
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(record{})); diff != "" || ok != test.ok {
			t.Errorf("%s: ok %v (-want +got):\n%s", test.name, ok, diff)
		}
		if got.mentions(device) != test.mentions {
			t.Errorf("%s: mentions is %v", test.name, !test.mentions)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte("3,1042,5140900,-;mlx5_core 0000:3b:00.0: text\n SUBSYSTEM=pci\n DEVICE=+pci:0000:3b:00.0\n"), device)
	f.Add([]byte(";\n"), "")
	f.Fuzz(func(t *testing.T, data []byte, device string) {
		r, ok := parseRecord(data)
		if !ok && r != (record{}) {
			t.Errorf("no record, but %+v", r)
		}
		if r.mentions("") {
			t.Error("a record mentions no device")
		}
		if strings.Contains(r.text, "\n") {
			t.Errorf("text %q has lines", r.text)
		}
		r.mentions(device)
	})
}

// records is a pipe that hands out one record with each read, as /dev/kmsg does.
func records(t *testing.T, list ...string) int {
	t.Helper()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_DIRECT|unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.Close(ends[0]), unix.Close(ends[1]) })
	// A pipe has room for one record a page.
	if _, err := unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, 256<<10); err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if _, err := unix.Write(ends[1], []byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	return ends[0]
}

func TestNewestLines(t *testing.T) {
	var list []string
	for i := range 8 {
		list = append(list,
			fmt.Sprintf("3,%d,1,-;mlx5_core %s: line %d\n", 3*i, device, i),
			fmt.Sprintf("3,%d,1,-;mlx5_core 0000:3b:00.1: line %d\n", 3*i+1, i),
			fmt.Sprintf("12,%d,1,-;%s: a process pretends\n", 3*i+2, device))
	}
	for _, test := range []struct {
		max  int
		want []string
	}{
		{3, []string{"line 5", "line 6", "line 7"}},
		{100, []string{"line 0", "line 1", "line 2", "line 3", "line 4", "line 5", "line 6", "line 7"}},
		{0, nil},
	} {
		got, err := recent(t.Context(), records(t, list...), device, test.max)
		if err != nil {
			t.Fatal(err)
		}
		var short []string
		for _, line := range got {
			short = append(short, strings.TrimPrefix(line, "mlx5_core "+device+": "))
		}
		if diff := cmp.Diff(test.want, short); diff != "" {
			t.Errorf("newest %d (-want +got):\n%s", test.max, diff)
		}
	}
}

func TestRefusals(t *testing.T) {
	if _, err := New(filepath.Join(t.TempDir(), "kmsg")).Recent(t.Context(), device, 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing log: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := recent(ctx, records(t, "3,1,1,-;x\n"), device, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

// TestKernelLog reads the machine's own log to its end. A kernel may keep it from
// anyone but root.
func TestKernelLog(t *testing.T) {
	lines, err := New("/dev/kmsg").Recent(t.Context(), "e", 3)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		if unix.Geteuid() == 0 {
			t.Errorf("root may not read the log: %v", err)
		}
		return
	}
	if err != nil || len(lines) > 3 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}
