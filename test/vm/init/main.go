// Command init is the first process of a test machine: it mounts the kernel's file
// systems, loads every module in /modules, runs /test with the arguments after "--"
// on the kernel's command line, says how that ended, and powers off.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"
)

// passed and failed are what the machine tells its emulator. They keep clear of the
// statuses that the emulator has of its own.
const (
	passed = 16
	failed = 17
)

// exitPort is where QEMU's isa-debug-exit device listens.
const exitPort = 0xf4

func main() {
	mount()
	for _, name := range load() {
		fmt.Println("module not loaded:", name)
	}
	code := byte(passed)
	if err := run(); err != nil {
		fmt.Println("test binary:", err)
		code = failed
	}
	syscall.Sync()
	if port, err := os.OpenFile("/dev/port", os.O_WRONLY, 0); err == nil {
		_, _ = port.WriteAt([]byte{code}, exitPort)
	}
	// Only where there is no such device: nobody learns how it ended.
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}

func mount() {
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"},
		{"debugfs", "/sys/kernel/debug"}, {"tmpfs", "/var"},
	} {
		err := os.MkdirAll(m.at, 0o755)
		if err == nil {
			err = syscall.Mount(m.kind, m.at, m.kind, 0, "")
		}
		if err != nil && !errors.Is(err, syscall.EBUSY) {
			fmt.Println("mounting", m.at, err)
		}
	}
}

// load loads the modules in whatever order their dependencies ask for: those that
// fail are tried again as long as another one went in. It returns those left over.
func load() []string {
	names, _ := filepath.Glob("/modules/*.ko")
	for {
		var left []string
		for _, name := range names {
			if err := insert(name); err != nil {
				left = append(left, name)
			}
		}
		if len(left) == 0 || len(left) == len(names) {
			return left
		}
		names = left
	}
}

func insert(name string) error {
	image, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	options := ""
	if filepath.Base(name) == "bonding.ko" {
		// Otherwise it makes a bond by itself.
		options = "max_bonds=0"
	}
	text := append([]byte(options), 0)
	_, _, errno := syscall.Syscall(syscall.SYS_INIT_MODULE,
		uintptr(unsafe.Pointer(&image[0])), uintptr(len(image)), uintptr(unsafe.Pointer(&text[0])))
	if errno != 0 && errno != syscall.EEXIST {
		return errno
	}
	return nil
}

func run() error {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	_, arguments, _ := strings.Cut(strings.TrimSpace(string(line)), " -- ")
	cmd := exec.Command("/test", strings.Fields(arguments)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	cmd.Env = append(os.Environ(), "HOME=/tmp", "PATH=/sbin:/bin:/usr/sbin:/usr/bin")
	return cmd.Run()
}
