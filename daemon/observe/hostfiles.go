package observe

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// mounts are those of the host's first process: the daemon's own may differ.
const mounts = "proc/1/mountinfo"

// readHostFiles looks at the places of our files, and at what else there is on
// the host that is of interest to them.
func readHostFiles(ctx context.Context, files host.FS, node *inventory.Node) {
	// Without it, a file system counts as writable, and a write says what is wrong.
	table, _ := files.ReadFile(ctx, mounts)
	for _, name := range hostfile.Paths() {
		f := inventory.HostFile{Path: name, ReadOnly: readOnly(string(table), name)}
		data, err := files.ReadFile(ctx, name)
		switch {
		case err == nil:
			f.Exists, f.Content = true, string(data)
		case !errors.Is(err, fs.ErrNotExist):
			f.Unreadable = err.Error()
		default:
			// A link that leads nowhere is somebody's all the same.
			if target, err := files.ReadLink(ctx, name); err == nil {
				f.Exists, f.Content = true, "-> "+target
			}
		}
		if f.Exists || f.ReadOnly || f.Unreadable != "" {
			node.Files = append(node.Files, f)
		}
	}
	_, err := files.ReadDir(ctx, hostfile.NetworkManagerFolder)
	node.NetworkManager = err == nil
}

// readOnly tells whether a path is on a file system that is mounted read-only.
// Lines are as proc(5) has them: ID, parent, device, root, mount point, options,
// optional fields, "-", type, source, options of the file system. Of mounts on one
// point, the last one is seen.
func readOnly(mountinfo, name string) bool {
	at, ro := "", false
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		mount, system := strings.Fields(before), strings.Fields(after)
		if len(mount) < 6 {
			continue
		}
		point := unescape(mount[4])
		if len(point) < len(at) || !below("/"+name, point) {
			continue
		}
		at = point
		ro = has(mount[5], "ro") || len(system) > 2 && has(system[2], "ro")
	}
	return ro
}

func has(options, option string) bool { return slices.Contains(strings.Split(options, ","), option) }

func below(name, folder string) bool {
	return folder == "/" || name == folder || strings.HasPrefix(name, path.Clean(folder)+"/")
}

// unescape turns the \040 of a mount point into the character that it stands for
// (mangle in fs/proc_namespace.c).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
