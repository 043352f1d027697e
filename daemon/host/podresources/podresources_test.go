package podresources_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	podresourcesv1 "k8s.io/kubelet/pkg/apis/podresources/v1"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/podresources"
)

// kubelet answers List as it is told.
type kubelet struct {
	podresourcesv1.UnimplementedPodResourcesListerServer
	pods []*podresourcesv1.PodResources
	err  error
}

func (k *kubelet) List(context.Context, *podresourcesv1.ListPodResourcesRequest) (*podresourcesv1.ListPodResourcesResponse, error) {
	return &podresourcesv1.ListPodResourcesResponse{PodResources: k.pods}, k.err
}

// serve starts a kubelet on a socket and returns a function that stops it.
func serve(t *testing.T, socket string, k *kubelet) (stop func()) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	podresourcesv1.RegisterPodResourcesListerServer(server, k)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	return func() {
		server.Stop()
		<-done
	}
}

func pod(name string, containers ...*podresourcesv1.ContainerResources) *podresourcesv1.PodResources {
	return &podresourcesv1.PodResources{Name: name, Namespace: "default", Containers: containers}
}

func container(resource string, ids ...string) *podresourcesv1.ContainerResources {
	return &podresourcesv1.ContainerResources{
		Name: "main", Devices: []*podresourcesv1.ContainerDevices{{ResourceName: resource, DeviceIds: ids}},
	}
}

func TestDeviceOwners(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "kubelet.sock")
	stop := serve(t, socket, &kubelet{pods: []*podresourcesv1.PodResources{
		pod("idle", &podresourcesv1.ContainerResources{Name: "main"}),
		pod("gpu", container("nvidia.com/gpu", "GPU-6f4a9a6e", "0000:3b:00", "x0000:3b:00.2")),
		pod("iperf", container("mellanox.com/cx5", "0000:5f:00.2"), container("mellanox.com/cx5", "0000:5f:00.3", "10000:01:00.7")),
	}})
	defer stop()
	got, err := podresources.New(socket).DeviceOwners(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"0000:5f:00.2": "default/iperf", "0000:5f:00.3": "default/iperf", "10000:01:00.7": "default/iperf",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
}

// TestKubeletRestarts asks before, between and after two lives of the kubelet.
func TestKubeletRestarts(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "kubelet.sock")
	c := podresources.New(socket)
	_, err := c.DeviceOwners(t.Context())
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "mount the host's folder") || !strings.Contains(err.Error(), socket) {
		t.Errorf("without a socket: %v", err)
	}
	for range 2 {
		stop := serve(t, socket, &kubelet{pods: []*podresourcesv1.PodResources{pod("a", container("x", "0000:3b:00.2"))}})
		if got, err := c.DeviceOwners(t.Context()); len(got) != 1 || err != nil {
			t.Errorf("owners %v, %v", got, err)
		}
		stop()
		if got, err := c.DeviceOwners(t.Context()); err == nil {
			t.Errorf("a stopped kubelet has answered %v", got)
		}
	}
	// A kubelet that was killed leaves its socket behind.
	address := &net.UnixAddr{Name: socket, Net: "unix"}
	listener, err := net.ListenUnix("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeviceOwners(t.Context())
	if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("a dead kubelet: %v", err)
	}
}

func TestKubeletRefuses(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "kubelet.sock")
	defer serve(t, socket, &kubelet{err: status.Error(codes.ResourceExhausted, "too many requests")})()
	_, err := podresources.New(socket).DeviceOwners(t.Context())
	var refusal *host.Error
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "too many requests") {
		t.Errorf("DeviceOwners: %v", err)
	}
}

// TestLargeNode has more pods than fit into gRPC's own limit of an answer.
// TestSilentKubelet asks a kubelet that accepts connections and never answers.
func TestSilentKubelet(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "kubelet.sock")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	late := errors.New("no answer in time")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, late)
	defer cancel()
	_, err = podresources.New(socket).DeviceOwners(ctx)
	if want := "asking which pods hold which devices on " + socket + ": the kubelet has not answered: no answer in time"; !errors.Is(err, late) || err.Error() != want {
		t.Errorf("error is %v\nwant %s", err, want)
	}
}

func TestLargeNode(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "kubelet.sock")
	long := strings.Repeat("x", 4<<10)
	var pods []*podresourcesv1.PodResources
	for range 1200 {
		pods = append(pods, pod("large", container("example.com/x", long)))
	}
	pods = append(pods, pod("iperf", container("mellanox.com/cx5", "0000:5f:00.2")))
	defer serve(t, socket, &kubelet{pods: pods})()
	got, err := podresources.New(socket).DeviceOwners(t.Context())
	if len(got) != 1 || err != nil {
		t.Errorf("owners %v, %v", got, err)
	}
}
