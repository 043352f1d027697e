package podresources

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"regexp"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	podresourcesv1 "k8s.io/kubelet/pkg/apis/podresources/v1"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// maxAnswer is the kubelet's own limit of an answer (16 MiB), four times gRPC's.
const maxAnswer = 16 << 20

// pciAddress is what device plugins for PCI functions use as device ids.
var pciAddress = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$`)

// Client asks one kubelet.
type Client struct {
	socket string
}

var _ host.Pods = (*Client)(nil)

// New returns a client of the kubelet that listens on a unix socket. Nothing is
// dialled before the first question, and the kubelet may restart at any time:
// every question dials anew.
func New(socket string) *Client { return &Client{socket: socket} }

// DeviceOwners returns namespace/name of pods by the PCI address of the devices
// that they hold.
func (c *Client) DeviceOwners(ctx context.Context) (map[string]string, error) {
	if _, err := os.Stat(c.socket); errors.Is(err, fs.ErrNotExist) {
		return nil, c.failed(fmt.Errorf("the kubelet's pod-resources socket is missing: "+
			"mount the host's folder of it into the daemon, or tell the daemon where it is: %w", fs.ErrNotExist))
	}
	if err := c.listens(ctx); err != nil {
		return nil, c.failed(err)
	}
	conn, err := grpc.NewClient("unix:"+c.socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)))
	if err != nil {
		return nil, c.failed(err)
	}
	defer func() { _ = conn.Close() }()
	answer, err := podresourcesv1.NewPodResourcesListerClient(conn).List(ctx, &podresourcesv1.ListPodResourcesRequest{})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, c.failed(fmt.Errorf("the kubelet has not answered: %w", context.Cause(ctx)))
	case err != nil:
		return nil, c.failed(err)
	}
	return ownersOf(answer), nil
}

// listens is ECONNREFUSED when the kubelet has left its socket behind: gRPC says
// that in words only.
func (c *Client) listens(ctx context.Context) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("nobody listens on the kubelet's pod-resources socket: %w", syscall.ECONNREFUSED)
	}
	if err == nil {
		_ = conn.Close()
	}
	return nil
}

func (c *Client) failed(err error) error {
	return &host.Error{Op: "asking which pods hold which devices", Object: c.socket, Err: err}
}

// ownersOf picks the devices that are PCI functions.
func ownersOf(answer *podresourcesv1.ListPodResourcesResponse) map[string]string {
	owners := map[string]string{}
	for _, pod := range answer.GetPodResources() {
		for _, container := range pod.GetContainers() {
			for _, device := range container.GetDevices() {
				for _, id := range device.GetDeviceIds() {
					if pciAddress.MatchString(id) {
						owners[id] = pod.GetNamespace() + "/" + pod.GetName()
					}
				}
			}
		}
	}
	return owners
}
