package ethtool

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// featureSet is ETH_SS_FEATURES of include/uapi/linux/ethtool.h, the set of strings
// with the names of features.
const featureSet = 4

// maxFeatures is the room for their names.
const maxFeatures = 32 * maxWords

// nameSize is ETH_GSTRING_LEN.
const nameSize = 32

// setInfo is struct ethtool_sset_info, for one set.
type setInfo struct {
	command, _ uint32
	mask       uint64
	count      uint32
}

// names is struct ethtool_gstrings.
type names struct {
	command, set, count uint32
	text                [maxFeatures][nameSize]byte
}

// featureBits returns the bit of each feature by its name. A kernel that has more
// features than there is room for is ENOSPC.
func featureBits(s socket) (map[string]uint, error) {
	info := setInfo{command: unix.ETHTOOL_GSSET_INFO, mask: 1 << featureSet}
	if err := s.ioctl(loopback, unsafe.Pointer(&info)); err != nil {
		return nil, fmt.Errorf("asking for the number of features: %w", err)
	}
	if info.mask == 0 || info.count == 0 || info.count > maxFeatures {
		return nil, fmt.Errorf("the kernel has %d features: %w", info.count, syscall.ENOSPC)
	}
	all := names{command: unix.ETHTOOL_GSTRINGS, set: featureSet, count: info.count}
	if err := s.ioctl(loopback, unsafe.Pointer(&all)); err != nil {
		return nil, fmt.Errorf("asking for the names of features: %w", err)
	}
	bits := map[string]uint{}
	for bit := range min(all.count, maxFeatures) {
		if name := unix.ByteSliceToString(all.text[bit][:]); name != "" {
			bits[name] = uint(bit)
		}
	}
	return bits, nil
}
