package observe

import (
	"slices"
	"strings"
)

// initMounts are the mounts of the machine's first process: the daemon's own may
// differ.
const initMounts = "proc/1/mountinfo"

// mount is a file system and whether it is mounted read-only.
type mount struct {
	point    string
	readOnly bool
}

type mounts []mount

// parseMounts parses /proc/PID/mountinfo, proc_pid_mountinfo(5).
func parseMounts(text string) mounts {
	var out mounts
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 6 {
			continue
		}
		ro := slices.Contains(strings.Split(fields[5], ","), "ro")
		if i := slices.Index(fields, "-"); i >= 0 && i+3 < len(fields) {
			ro = ro || slices.Contains(strings.Split(fields[i+3], ","), "ro")
		}
		out = append(out, mount{strings.Trim(unescape.Replace(fields[4]), "/"), ro})
	}
	return out
}

// readOnly tells whether a path, without links in it, is on a file system that
// is mounted read-only. The last of those mounted at one place is on top.
func (m mounts) readOnly(name string) bool {
	best, readOnly := -1, false
	for _, mount := range m {
		inside := mount.point == "" || name == mount.point || strings.HasPrefix(name, mount.point+"/")
		if inside && len(mount.point) >= best {
			best, readOnly = len(mount.point), mount.readOnly
		}
	}
	return readOnly
}
