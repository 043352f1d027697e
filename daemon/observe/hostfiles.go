package observe

import (
	"context"
	"errors"
	"io/fs"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// readHostFiles looks at the places of our files, and at what else there is on
// the host that is of interest to them.
func readHostFiles(ctx context.Context, files host.FS, node *inventory.Node) {
	// Without it, a file system counts as writable, and a write says what is wrong.
	table, _ := files.ReadFile(ctx, initMounts)
	mounted := parseMounts(string(table))
	for _, name := range hostfile.Paths() {
		f := inventory.HostFile{Path: name, ReadOnly: mounted.readOnly(name)}
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
