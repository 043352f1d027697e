//go:build vm

// Package daemon has the specs for the released daemon on a machine with emulated
// Intel 82576 cards, against a real API server outside of the machine.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

const (
	node      = "vm"
	namespace = "sriov-offload-operator"
)

var api client.Client

func TestMain(m *testing.M) {
	if err := setUp(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func setUp() error {
	if err := network(); err != nil {
		return fmt.Errorf("setting the network up: %w", err)
	}
	if err := kubelet(); err != nil {
		return fmt.Errorf("playing the kubelet: %w", err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", "/kubeconfig")
	if err != nil {
		return err
	}
	config.QPS = -1
	scheme := runtime.NewScheme()
	if err := sriovv1.AddToScheme(scheme); err != nil {
		return err
	}
	api, err = client.New(config, client.Options{Scheme: scheme})
	return err
}

// network gives the virtio link its address.
func network() error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		driver, err := os.Readlink("/sys/class/net/" + l.Attrs().Name + "/device/driver")
		if err != nil || filepath.Base(driver) != "virtio_net" {
			continue
		}
		address := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 0, 2, 15), Mask: net.CIDRMask(24, 32)}}
		return errors.Join(netlink.LinkSetUp(l), netlink.AddrAdd(l, address))
	}
	return errors.New("there is no virtio link")
}

// noPods answers like a kubelet on a node without pods.
type noPods struct {
	podresources.UnimplementedPodResourcesListerServer
}

// List implements the kubelet's API.
func (noPods) List(context.Context, *podresources.ListPodResourcesRequest) (*podresources.ListPodResourcesResponse, error) {
	return &podresources.ListPodResourcesResponse{}, nil
}

// kubelet serves the socket that the daemon asks which pods hold VFs.
func kubelet() error {
	const socket = "/var/lib/kubelet/pod-resources/kubelet.sock"
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	podresources.RegisterPodResourcesListerServer(server, noPods{})
	go func() { _ = server.Serve(listener) }()
	return nil
}

// process is a running daemon.
type process struct {
	*exec.Cmd
	done chan error
}

// start runs the released binary.
func start(t *testing.T) *process {
	t.Helper()
	p := &process{Cmd: exec.Command("/operator", "daemon", "--node="+node, "--namespace="+namespace), done: make(chan error, 1)}
	p.Env = append(os.Environ(), "KUBECONFIG=/kubeconfig")
	log, err := os.OpenFile("/tmp/daemon.log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	p.Stdout, p.Stderr = log, log
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			data, _ := os.ReadFile("/tmp/daemon.log")
			t.Logf("the daemon's log:\n%s", data[max(0, len(data)-8000):])
		}
		p.end(syscall.SIGTERM)
	})
	return p
}

// end stops the daemon and waits for its end.
func (p *process) end(signal syscall.Signal) {
	_ = p.Process.Signal(signal)
	err, open := <-p.done
	if open {
		close(p.done)
	}
	_ = err
}

// until waits for what a check wants; the last complaint is the failure.
func until(t *testing.T, limit time.Duration, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %s: %v", limit, last)
		case <-tick.C:
		}
	}
}

// patience is for a machine whose host is busy.
const patience = 5 * time.Minute

// ready waits until the daemon says that the node is as its policies want.
func ready(t *testing.T, vfs map[string]int) {
	t.Helper()
	readyState(t, func(s *sriovv1.SriovNetworkNodeState) error {
		for pf, want := range vfs {
			for _, nic := range s.Status.Interfaces {
				if nic.PCIAddress == pf && len(nic.VFs) != want {
					return fmt.Errorf("%s: status has %d VFs, want %d", pf, len(nic.VFs), want)
				}
			}
			if got := number(t, pf, "sriov_numvfs"); got != want {
				return fmt.Errorf("%s: sriov_numvfs is %d, want %d", pf, got, want)
			}
		}
		return nil
	})
}

// readyState waits until the node is ready, and its state as a check wants.
func readyState(t *testing.T, check func(*sriovv1.SriovNetworkNodeState) error) {
	t.Helper()
	until(t, patience, func(ctx context.Context) error {
		var s sriovv1.SriovNetworkNodeState
		if err := api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: node}, &s); err != nil {
			return err
		}
		c := meta.FindStatusCondition(s.Status.Conditions, sriovv1.ConditionReady)
		if c == nil || c.Status != "True" || s.Status.ObservedGeneration != s.Generation {
			return fmt.Errorf("not ready: %+v", c)
		}
		return check(&s)
	})
}

// readyNIC is readyState for what the status says of the simulated NIC, which it
// returns.
func readyNIC(t *testing.T, check func(*sriovv1.InterfaceStatus) error) sriovv1.InterfaceStatus {
	t.Helper()
	var out sriovv1.InterfaceStatus
	readyState(t, func(s *sriovv1.SriovNetworkNodeState) error {
		for i := range s.Status.Interfaces {
			if nic := &s.Status.Interfaces[i]; nic.PCIAddress == simulated {
				out = *nic
				return check(nic)
			}
		}
		return fmt.Errorf("the status has no %s", simulated)
	})
	return out
}

func pci(address, attribute string) string {
	return "/sys/bus/pci/devices/" + address + "/" + attribute
}

func number(t *testing.T, address, attribute string) int {
	t.Helper()
	data, err := os.ReadFile(pci(address, attribute))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// driver of a VF; empty if it has none.
func driver(t *testing.T, pf string, vf int) string {
	t.Helper()
	target, err := os.Readlink(pci(pf, fmt.Sprintf("virtfn%d/driver", vf)))
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(target)
}

// mtu of a function's netdev.
func mtu(t *testing.T, function string) int {
	t.Helper()
	names, err := os.ReadDir("/sys/bus/pci/devices/" + function + "/net")
	if err != nil || len(names) != 1 {
		t.Fatalf("netdev of %s: %v, %v", function, names, err)
	}
	l, err := netlink.LinkByName(names[0].Name())
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().MTU
}

// policy of PFs and VF ranges, as nicSelector.rootDevices has them.
func policy(name string, numVFs int, devices ...string) *sriovv1.SriovNetworkNodePolicy {
	p := &sriovv1.SriovNetworkNodePolicy{}
	p.Name, p.Namespace = name, namespace
	p.Spec.ResourceName = strings.ReplaceAll(name, "-", "_")
	p.Spec.NodeSelector = map[string]string{}
	p.Spec.NumVfs = numVFs
	p.Spec.NicSelector.RootDevices = devices
	return p
}

// create makes a policy that is gone with the test.
func create(t *testing.T, p *sriovv1.SriovNetworkNodePolicy) {
	t.Helper()
	if err := api.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = api.Delete(context.Background(), p) })
}

func remove(t *testing.T, p *sriovv1.SriovNetworkNodePolicy) {
	t.Helper()
	if err := api.Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}
