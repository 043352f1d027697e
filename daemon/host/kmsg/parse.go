package kmsg

import (
	"strconv"
	"strings"
)

// record is one entry of the kernel's log.
type record struct {
	// kernel is false for what a process has written to /dev/kmsg.
	kernel bool
	text   string
	// device is the entry's own device, e.g. "+pci:0000:3b:00.0"; empty if none.
	device string
}

// parseRecord parses a record of /dev/kmsg: "6,339,5140900,-;text", then lines
// " KEY=value"; unprintable bytes of the text are written \xNN. False when it is
// none.
func parseRecord(data []byte) (record, bool) {
	prefix, rest, ok := strings.Cut(string(data), ";")
	if !ok {
		return record{}, false
	}
	priority, _, ok := strings.Cut(prefix, ",")
	if !ok {
		return record{}, false
	}
	// The priority is facility*8 + level; facility 0 is the kernel.
	n, err := strconv.ParseUint(priority, 10, 32)
	if err != nil {
		return record{}, false
	}
	text, fields, _ := strings.Cut(rest, "\n")
	r := record{kernel: n < 8, text: strings.TrimSpace(text)}
	for field := range strings.SplitSeq(fields, "\n") {
		if device, ok := strings.CutPrefix(strings.TrimSpace(field), "DEVICE="); ok {
			r.device = device
		}
	}
	return r, true
}

// mentions tells that the record is about a device, by its text or by the device
// that the driver gave it.
func (r record) mentions(device string) bool {
	return device != "" && (strings.Contains(r.text, device) || strings.HasSuffix(r.device, ":"+device))
}
