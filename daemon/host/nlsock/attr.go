package nlsock

import (
	"encoding/binary"
	"iter"
	"strings"
)

// attrHeader is struct nlattr: u16 length including the header, u16 type.
const attrHeader = 4

// typeMask takes NLA_F_NESTED and NLA_F_NET_BYTEORDER off an attribute's type.
const typeMask = 1<<14 - 1

// Attrs yields type and value of netlink attributes, the flags taken off the
// type. It stops at the first malformed one.
func Attrs(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= attrHeader {
			length := int(binary.NativeEndian.Uint16(b))
			kind := binary.NativeEndian.Uint16(b[2:]) & typeMask
			if length < attrHeader || length > len(b) {
				return
			}
			if !yield(kind, b[attrHeader:length]) {
				return
			}
			// The last attribute need not be padded.
			b = b[min((length+3)&^3, len(b)):]
		}
	}
}

// Payload returns what follows a fixed header of n bytes, nothing if there is
// less than that.
func Payload(message []byte, n int) []byte {
	if len(message) < n {
		return nil
	}
	return message[n:]
}

// Text returns a NUL-terminated attribute.
func Text(value []byte) string {
	text, _, _ := strings.Cut(string(value), "\x00")
	return text
}

// Uint returns an attribute of 1, 2, 4 or 8 bytes in host order; false for any
// other length.
func Uint(value []byte) (uint64, bool) {
	switch len(value) {
	case 1:
		return uint64(value[0]), true
	case 2:
		return uint64(binary.NativeEndian.Uint16(value)), true
	case 4:
		return uint64(binary.NativeEndian.Uint32(value)), true
	case 8:
		return binary.NativeEndian.Uint64(value), true
	}
	return 0, false
}

// Int is Uint for values that are known to be small; 0 when malformed.
func Int(value []byte) int {
	n, ok := Uint(value)
	if !ok || n > 1<<32-1 {
		return 0
	}
	return int(n)
}
