package ethtool

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
)

// Client talks ethtool. The zero value is ready for use.
type Client struct {
	calls bounded.Calls

	mu sync.Mutex
	// bits of the features by name. The kernel has one list for all netdevs.
	bits map[string]uint
}

var _ host.Ethtool = (*Client)(nil)

// loopback is a netdev that every network namespace has.
const loopback = "lo"

// maxWords is the room for feature bits; the kernel has 64 of them now.
const maxWords = 8

// block is struct ethtool_get_features_block: 32 features.
type block struct{ available, requested, active, neverChanged uint32 }

// getFeatures is struct ethtool_gfeatures.
type getFeatures struct {
	command, size uint32
	blocks        [maxWords]block
}

// setFeatures is struct ethtool_sfeatures.
type setFeatures struct {
	command, size uint32
	blocks        [maxWords]struct{ valid, requested uint32 }
}

// ifreq is struct ifreq as SIOCETHTOOL reads it.
type ifreq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

// Feature returns the state of a feature; ENOENT when there is no such feature.
func (c *Client) Feature(ctx context.Context, netdev, feature string) (host.Feature, error) {
	op := "reading feature " + feature
	state, err := call(ctx, c, netdev, func(s socket) (block, error) {
		state, _, err := c.read(s, netdev, feature)
		return state, err
	})
	if err != nil {
		return host.Feature{}, kernelError(op, netdev, err)
	}
	return state.feature(), nil
}

// SetFeature switches a feature and reads it back: the kernel answers success
// when a driver refuses. A fixed feature is EOPNOTSUPP.
func (c *Client) SetFeature(ctx context.Context, netdev, feature string, on bool) error {
	op := "switching feature " + feature + " off"
	if on {
		op = "switching feature " + feature + " on"
	}
	_, err := call(ctx, c, netdev, func(s socket) (struct{}, error) {
		return struct{}{}, c.write(s, netdev, feature, on)
	})
	if err != nil {
		return kernelError(op, netdev, err)
	}
	return nil
}

// feature is the state of the one feature whose bit alone is set in the block.
func (b block) feature() host.Feature {
	// A feature that cannot be changed is not available, or was declared so.
	return host.Feature{On: b.active != 0, Fixed: b.available == 0 || b.neverChanged != 0}
}

// read returns the state of a feature, all other bits cleared, and its bit.
func (c *Client) read(s socket, netdev, feature string) (block, uint, error) {
	bit, words, err := c.bit(s, feature)
	if err != nil {
		return block{}, 0, err
	}
	get := getFeatures{command: unix.ETHTOOL_GFEATURES, size: words}
	if err := s.ioctl(netdev, unsafe.Pointer(&get)); err != nil {
		return block{}, 0, err
	}
	b, mask := get.blocks[bit/32], uint32(1)<<(bit%32)
	return block{b.available & mask, b.requested & mask, b.active & mask, b.neverChanged & mask}, bit, nil
}

func (c *Client) write(s socket, netdev, feature string, on bool) error {
	state, bit, err := c.read(s, netdev, feature)
	switch {
	case err != nil:
		return err
	case state.feature().On == on:
		return nil
	case state.feature().Fixed:
		return fmt.Errorf("fixed by the driver: %w", syscall.EOPNOTSUPP)
	}
	// The kernel wants as many words as it has.
	_, words, err := c.bit(s, feature)
	if err != nil {
		return err
	}
	set := setFeatures{command: unix.ETHTOOL_SFEATURES, size: words}
	set.blocks[bit/32].valid = 1 << (bit % 32)
	if on {
		set.blocks[bit/32].requested = 1 << (bit % 32)
	}
	if err := s.ioctl(netdev, unsafe.Pointer(&set)); err != nil {
		return err
	}
	state, _, err = c.read(s, netdev, feature)
	if err != nil {
		return err
	}
	if state.feature().On != on {
		return errors.New("the driver refused; the kernel tells why in its log only")
	}
	return nil
}

// bit returns a feature's bit and how many words hold all features.
func (c *Client) bit(s socket, feature string) (bit uint, words uint32, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bits == nil {
		if c.bits, err = featureBits(s); err != nil {
			return 0, 0, err
		}
	}
	last := uint(0)
	for _, b := range c.bits {
		last = max(last, b)
	}
	bit, ok := c.bits[feature]
	if !ok {
		return 0, 0, syscall.ENOENT
	}
	return bit, uint32(last/32 + 1), nil
}

// socket is any socket: ethtool's ioctls go to the netdev, not through it.
type socket int

// Close closes the socket.
func (s socket) Close() error { return unix.Close(int(s)) }

// call runs f with a socket of the calling thread's network namespace.
func call[T any](ctx context.Context, c *Client, netdev string, f func(s socket) (T, error)) (T, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		var zero T
		return zero, err
	}
	return bounded.DoWith(ctx, &c.calls, netdev, socket(fd), f)
}

// ioctl sends an ethtool command to a netdev.
func (s socket) ioctl(netdev string, command unsafe.Pointer) error {
	request := ifreq{data: command}
	if len(netdev) >= len(request.name) {
		return syscall.ENODEV
	}
	copy(request.name[:], netdev)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(command)
	if errno != 0 {
		return errno
	}
	return nil
}

// kernelError names the operation and the netdev.
func kernelError(op, netdev string, err error) error {
	out := &host.Error{Op: op, Object: netdev, Err: err}
	if errors.As(err, &out.Errno) {
		out.Err = nil
		if text, ok := strings.CutSuffix(err.Error(), ": "+out.Errno.Error()); ok {
			out.Text = text
		}
	}
	return out
}
