package ethtool

import (
	"context"
	"unsafe"

	"golang.org/x/sys/unix"
)

// FirmwareVersion returns what the driver says of the firmware that runs
// (ETHTOOL_GDRVINFO). The kernel answers for every netdev, empty for a driver
// that does not say.
func (c *Client) FirmwareVersion(ctx context.Context, netdev string) (string, error) {
	version, err := call(ctx, c, netdev, func(s socket) (string, error) {
		info := unix.EthtoolDrvinfo{Cmd: unix.ETHTOOL_GDRVINFO}
		if err := s.ioctl(netdev, unsafe.Pointer(&info)); err != nil {
			return "", err
		}
		return unix.ByteSliceToString(info.Fw_version[:]), nil
	})
	if err != nil {
		return "", kernelError("reading the firmware version", netdev, err)
	}
	return version, nil
}
