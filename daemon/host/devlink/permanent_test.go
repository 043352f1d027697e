package devlink

import (
	"testing"

	"github.com/vishvananda/netlink/nl"
)

func TestParsePermanent(t *testing.T) {
	const byteType, longType, textType, runtime, permanent = 1, 3, 5, 0, 2
	small := func(n uint8) *nl.RtAttr { return u8(nl.DEVLINK_ATTR_PARAM_VALUE_DATA, n) }
	for _, test := range []struct {
		name   string
		answer []byte
		want   int
		ok     bool
	}{
		{"permanent", paramAnswer(byteType, value(permanent, small(2))), 2, true},
		{"permanent 0", paramAnswer(byteType, value(permanent, small(0))), 0, true},
		{"permanent after runtime", paramAnswer(byteType, value(runtime, small(1)), value(permanent, small(3))), 3, true},
		{"of four bytes", paramAnswer(longType, value(permanent, u32(nl.DEVLINK_ATTR_PARAM_VALUE_DATA, 7))), 7, true},
		{"runtime only", paramAnswer(byteType, value(runtime, small(2))), 0, false},
		{"of another size than its type", paramAnswer(byteType, value(permanent, u32(nl.DEVLINK_ATTR_PARAM_VALUE_DATA, 7))), 0, false},
		{"text", paramAnswer(textType, value(permanent, text(nl.DEVLINK_ATTR_PARAM_VALUE_DATA, "disk"))), 0, false},
		{"nothing", answer(), 0, false},
	} {
		if got, ok := parsePermanent(test.answer); got != test.want || ok != test.ok {
			t.Errorf("%s: %d, %t; want %d, %t", test.name, got, ok, test.want, test.ok)
		}
	}
}
