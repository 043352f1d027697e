package ovs_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/ovs"
)

// programs of Open vSwitch, where make openvswitch puts them or where the system
// has them.
type programs struct {
	path    map[string]string
	schema  string
	library string
}

// fetched is what make openvswitch gets, seen from this package.
const fetched = "../../../bin/ovs"

func findPrograms(t *testing.T) programs {
	t.Helper()
	p := programs{path: map[string]string{}}
	for _, name := range []string{"ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl"} {
		dirs := []string{fetched + "/usr/sbin", fetched + "/usr/bin", fetched + "/usr/lib/openvswitch-switch"}
		dirs = append(append(dirs, filepath.SplitList(os.Getenv("PATH"))...), "/usr/sbin", "/usr/lib/openvswitch-switch")
		for _, dir := range dirs {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
				p.path[name] = filepath.Join(dir, name)
				break
			}
		}
		if p.path[name] == "" {
			t.Fatalf("there is no %s here to test with: run make test or make openvswitch", name)
		}
	}
	for _, root := range []string{fetched, ""} {
		schema := root + "/usr/share/openvswitch/vswitch.ovsschema"
		if _, err := os.Stat(schema); err == nil && p.schema == "" {
			p.schema = schema
		}
	}
	if p.schema == "" {
		t.Fatal("there is no vswitch.ovsschema here to test with: run make test or make openvswitch")
	}
	p.library = libraries(t)
	return p
}

// libraries are the folders with shared libraries that were fetched.
func libraries(t *testing.T) string {
	t.Helper()
	var dirs []string
	for _, root := range []string{fetched + "/usr/lib", fetched + "/lib"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.Contains(d.Name(), ".so") && !slices.Contains(dirs, filepath.Dir(path)) {
				dirs = append(dirs, filepath.Dir(path))
			}
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	for i := range dirs {
		absolute, err := filepath.Abs(dirs[i])
		if err != nil {
			t.Fatal(err)
		}
		dirs[i] = absolute
	}
	return strings.Join(dirs, ":")
}

// server is an Open vSwitch of a test's own: no kernel datapath, no network.
type server struct {
	t *testing.T
	programs
	dir string
	// running are the daemons by name.
	running map[string]*exec.Cmd
}

// startServer starts one with an empty database. The folder has a short name:
// the path of a socket must not be longer than 107 bytes.
func startServer(t *testing.T) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "ovs")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, programs: findPrograms(t), dir: dir, running: map[string]*exec.Cmd{}}
	t.Cleanup(func() {
		s.stop("ovs-vswitchd")
		s.stop("ovsdb-server")
		if t.Failed() {
			for _, name := range []string{"ovsdb-server", "ovs-vswitchd"} {
				if log, err := os.ReadFile(filepath.Join(dir, name+".out")); err == nil {
					t.Logf("%s:\n%s", name, log)
				}
			}
		}
		_ = os.RemoveAll(dir)
	})
	s.must(s.command("ovsdb-tool", "create", dir+"/conf.db", s.schema).CombinedOutput())
	s.start("ovsdb-server", dir+"/conf.db", "--remote=punix:"+s.socket())
	s.must(nil, s.eventually(func() error { return s.vsctl("--no-wait", "init") }))
	s.start("ovs-vswitchd", "unix:"+s.socket(), "--enable-dummy", "--disable-system", "--disable-system-route")
	return s
}

func (s *server) socket() string { return s.dir + "/db.sock" }

func (s *server) must(output []byte, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%v\n%s", err, output)
	}
}

func (s *server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(s.t.Context()), s.path[name], args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.dir, "OVS_LOGDIR="+s.dir, "OVS_DBDIR="+s.dir, "OVS_SYSCONFDIR="+s.dir)
	if s.library != "" {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+s.library)
	}
	return cmd
}

// start starts a daemon as a child that dies with the test.
func (s *server) start(name string, args ...string) {
	s.t.Helper()
	cmd := s.command(name, append(args, "--pidfile", "--no-chdir")...)
	out, err := os.Create(filepath.Join(s.dir, name+".out"))
	s.must(nil, err)
	defer func() { _ = out.Close() }()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.must(nil, cmd.Start())
	s.running[name] = cmd
}

func (s *server) stop(name string) {
	if cmd := s.running[name]; cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		delete(s.running, name)
	}
}

func (s *server) vsctl(args ...string) error {
	var out bytes.Buffer
	cmd := s.command("ovs-vsctl", append([]string{"--db=unix:" + s.socket(), "--timeout=20"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("ovs-vsctl %s: %w: %s", strings.Join(args, " "), err, out.String())
	}
	return nil
}

func (s *server) eventually(try func() error) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (s *server) client() *ovs.Client {
	return &ovs.Client{Sockets: []string{s.dir + "/elsewhere.sock", s.socket()}}
}

func (s *server) machine() hosttest.OVSMachine {
	return hosttest.OVSMachine{
		OVS: s.client(), DatapathType: "dummy", Type: "dummy", Netdevs: [2]string{"dummy0", "dummy1"},
		AddBridge: func(bridge string) error {
			return s.vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=dummy")
		},
		AddPort: func(bridge, port string) error {
			return s.vsctl("add-port", bridge, port, "--", "set", "interface", port, "type=dummy")
		},
		SetColumn: func(bridge, uplink, column, key, value string) error {
			where, name, _ := strings.Cut(column, "/")
			setting := fmt.Sprintf("%s:%s=%s", name, key, value)
			if where == "uplink" {
				return s.vsctl("set", "interface", uplink, setting)
			}
			return s.vsctl("set", "bridge", bridge, setting)
		},
		Stop: func(vswitchdOnly bool) {
			s.stop("ovs-vswitchd")
			if !vswitchdOnly {
				s.stop("ovsdb-server")
			}
		},
	}
}
