package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sriov-offload/sriov-offload-operator/controllers/manager"
	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
)

// What machine and cluster know of each other.
const (
	node      = "vm"
	namespace = "sriov-offload-operator"
	// server is the API server as the machine sees it: the only address that its
	// network leads to.
	server = "10.0.2.100:6443"
)

// cluster is a control plane with the manager; its only node is a machine.
type cluster struct {
	plane *controlplane.ControlPlane
	// address of the API server on this machine.
	address    string
	kubeconfig []byte
	cancel     context.CancelFunc
	running    sync.WaitGroup
	err        error
}

func startCluster(ctx context.Context) (*cluster, error) {
	ctrl.SetLogger(logr.Discard())
	plane, err := controlplane.Start(ctx, controlplane.Options{})
	if err != nil {
		return nil, err
	}
	c := &cluster{plane: plane, cancel: func() {}}
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	ctx, c.cancel = context.WithCancel(ctx)
	c.running.Go(func() {
		c.err = manager.Run(ctx, manager.Options{
			Config: plane.Config, Namespace: namespace, RemovalDelay: manager.DefaultRemovalDelay, MetricsBindAddress: "0", ProbeBindAddress: "0",
		})
	})
	return c, nil
}

// prepare makes namespace and node, and a kubeconfig that works on the machine.
func (c *cluster) prepare(ctx context.Context) error {
	api, err := client.New(c.plane.Config, client.Options{})
	if err != nil {
		return err
	}
	err = errors.Join(
		api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}),
		api.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}))
	if err != nil {
		return err
	}
	data, err := c.plane.Kubeconfig()
	if err != nil {
		return err
	}
	config, err := clientcmd.Load(data)
	if err != nil {
		return err
	}
	for _, each := range config.Clusters {
		at, err := url.Parse(each.Server)
		if err != nil {
			return err
		}
		c.address = at.Host
		// The certificate is for this machine's names.
		each.Server, each.TLSServerName = "https://"+server, "localhost"
	}
	c.kubeconfig, err = clientcmd.Write(*config)
	return err
}

func (c *cluster) stop() error {
	c.cancel()
	c.running.Wait()
	return errors.Join(c.err, c.plane.Stop())
}

const forwardCommand = "forward"

// devices give the machine a network that leads to the API server and nowhere else.
func (c *cluster) devices() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return []string{
		"-netdev", fmt.Sprintf("user,id=u0,restrict=on,guestfwd=tcp:%s-cmd:%s %s %s", server, self, forwardCommand, c.address),
		"-device", "virtio-net-pci,id=v0,netdev=u0,romfile=",
	}, nil
}

// forward joins standard input and output with a TCP connection: QEMU starts it for
// each connection of the machine.
func forward(address string) error {
	to, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(to, os.Stdin)
		_ = to.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(os.Stdout, to)
	return err
}
