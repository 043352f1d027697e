package nlsock_test

import (
	"bytes"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

func TestAttrs(t *testing.T) {
	var data []byte
	data = append(data, nl.NewRtAttr(1, nl.ZeroTerminated("pci")).Serialize()...)
	data = append(data, nl.NewRtAttr(84|unix.NLA_F_NESTED, []byte{1, 2, 3, 4}).Serialize()...)
	// The last one is not padded; the library's own walker panics on it.
	data = append(data, 5, 0, 7, 0, 9)
	type attr struct {
		kind  uint16
		value string
	}
	want := []attr{{1, "pci\x00"}, {84, "\x01\x02\x03\x04"}, {7, "\x09"}}
	i := 0
	for kind, value := range nlsock.Attrs(data) {
		if i >= len(want) || kind != want[i].kind || string(value) != want[i].value {
			t.Errorf("attribute %d is %d %q", i, kind, value)
		}
		i++
	}
	if i != len(want) {
		t.Errorf("%d attributes, want %d", i, len(want))
	}
	for range nlsock.Attrs([]byte{200, 0, 1, 0, 0}) {
		t.Error("an attribute longer than its message was given")
	}
}

func TestValues(t *testing.T) {
	for _, test := range []struct {
		value []byte
		want  int
	}{
		{nil, 0}, {[]byte{7}, 7}, {nl.Uint16Attr(300), 300}, {nl.Uint32Attr(70000), 70000}, {nl.Uint64Attr(5), 5},
		{nl.Uint64Attr(1 << 40), 0}, {[]byte{1, 2, 3}, 0},
	} {
		if got := nlsock.Int(test.value); got != test.want {
			t.Errorf("Int(%v) = %d, want %d", test.value, got, test.want)
		}
	}
	if got := nlsock.Text([]byte("legacy\x00rest")); got != "legacy" {
		t.Errorf("Text = %q", got)
	}
	if got := nlsock.Payload([]byte{1, 2}, 4); got != nil {
		t.Errorf("Payload of a short message = %v", got)
	}
}

// FuzzAttrs holds that values are parts of the message, in order.
func FuzzAttrs(f *testing.F) {
	f.Add([]byte{5, 0, 7, 0, 9})
	f.Add(nl.NewRtAttr(1, nl.ZeroTerminated("0000:3b:00.0")).Serialize())
	f.Fuzz(func(t *testing.T, data []byte) {
		rest := data
		for kind, value := range nlsock.Attrs(data) {
			if kind >= 1<<14 {
				t.Errorf("type %d has flags", kind)
			}
			at := bytes.Index(rest, value)
			if at < 0 {
				t.Fatalf("value %v is not in what is left of %v", value, data)
			}
			rest = rest[4:]
		}
	})
}
