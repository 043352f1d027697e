package linux

import (
	"cmp"
	"errors"
	"io"
	"net/netip"
	"path/filepath"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/devlink"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/ethtool"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/files"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/kmsg"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/networkmanager"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/ovs"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/podresources"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/probes"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/programs"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/rdma"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/rtnl"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/sysfs"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/systemd"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/uevent"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/vdpa"
)

// KubeletSocket is where the kubelet answers about pods, below the host's root.
const KubeletSocket = "var/lib/kubelet/pod-resources/kubelet.sock"

// OVSSocket is where the database server of Open vSwitch listens, below the host's
// root. The link var/run leads to the run of our own container, so run comes first.
const (
	OVSSocket    = "run/openvswitch/db.sock"
	oldOVSSocket = "var/run/openvswitch/db.sock"
)

func ovsSockets(root, given string) []string {
	if given != "" {
		return []string{given}
	}
	return []string{filepath.Join(root, OVSSocket), filepath.Join(root, oldOVSSocket)}
}

// systemBus is where the host's D-Bus listens, below its root.
const systemBus = "run/dbus/system_bus_socket"

// Options say where the machine is.
type Options struct {
	// Root is the folder where the machine's root is: "/", or "/host" in a
	// container. Empty means "/".
	Root string
	// KubeletSocket is the path of the kubelet's pod-resources socket. Empty
	// means KubeletSocket below Root.
	KubeletSocket string
	// OVSSocket is the path of the socket of Open vSwitch's database server. Empty
	// means OVSSocket below Root.
	OVSSocket string
	// NodeIP is the address under which the node is known to its cluster. The
	// zero value means that it is not known.
	NodeIP netip.Addr
	// APIServer is host:port of the API server of the cluster. Empty means that it
	// is not known: then it is never found connected.
	APIServer string
}

// Open returns the host of the machine at Root. Netlink and ethtool reach the
// network namespace of the calling process, wherever Root is: the daemon runs in
// that of the machine.
func Open(o Options) (host.Host, io.Closer, error) {
	root := cmp.Or(o.Root, "/")
	if !filepath.IsAbs(root) {
		return host.Host{}, nil, errors.New("the host's root must be an absolute path: " + root)
	}
	attributes, err := sysfs.Open(root)
	if err != nil {
		return host.Host{}, nil, err
	}
	own, err := files.Open(root)
	if err != nil {
		return host.Host{}, nil, errors.Join(err, attributes.Close())
	}
	links := &rtnl.Client{NodeIP: o.NodeIP}
	return host.Host{
		FS:      attributes,
		Files:   own,
		Devlink: &devlink.Client{},
		Links:   links,
		Bonds:   &rtnl.Bonds{Client: links},
		Ethtool: &ethtool.Client{},
		Events:  &uevent.Client{},
		Pods:    podresources.New(cmp.Or(o.KubeletSocket, filepath.Join(root, KubeletSocket))),
		Log:     kmsg.New(filepath.Join(root, "dev/kmsg")),
		OVS:     &ovs.Client{Sockets: ovsSockets(root, o.OVSSocket)},
		VDPA:    &vdpa.Client{},

		NetworkManager: &networkmanager.Client{Socket: filepath.Join(root, systemBus)},
		Systemd:        systemd.New(root),
		Probes:         &probes.Client{Server: o.APIServer, Neighbours: links},
		Machine:        programs.New(root, own),
		Power:          systemd.NewLogin(root),
		RDMA:           &rdma.Client{},
	}, closers{attributes, own}, nil
}

// closers are closed together.
type closers []io.Closer

func (c closers) Close() error {
	var errs []error
	for _, each := range c {
		errs = append(errs, each.Close())
	}
	return errors.Join(errs...)
}
