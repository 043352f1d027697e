package simhost

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// Paths of NetworkManager (NetworkManager.conf(5)) and of udev (udev(7)).
const (
	networkManagerFolder = "etc/NetworkManager"
	rulesFolder          = "etc/udev/rules.d"
)

// startNetworkManager lets NetworkManager read its settings, on a host that has it.
func (k *Kernel) startNetworkManager() {
	if k.opts.NetworkManager {
		k.disk.folders(networkManagerFolder + "/conf.d")
		k.networkManager = k.disk.contents(networkManagerFolder + "/conf.d")
	}
}

// contents is the files of a folder with their text, in order of their names.
func (d disk) contents(folder string) string {
	var b strings.Builder
	names := d.names(folder)
	slices.Sort(names)
	for _, name := range names {
		if f := d[folder+"/"+name]; !f.folder {
			fmt.Fprintf(&b, "%s: %s\n", name, f.data)
		}
	}
	return b.String()
}

type networkManagerDoor struct{ *handle }

// Reload implements host.NetworkManager.
func (d networkManagerDoor) Reload(ctx context.Context) error {
	c := call{kind: "networkmanager.Reload", object: "settings", write: true, words: "reloading its settings", device: "NetworkManager"}
	_, err := run(ctx, d.handle, c, func() (nothing, error) {
		d.k.startNetworkManager()
		return nothing{}, nil
	})
	return err
}

// NetworkManagerSettings is what NetworkManager has read last of its conf.d: a
// file that it was not told of is not in it.
func (k *Kernel) NetworkManagerSettings() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.networkManager
}

// RulesSeen is the text of the rules with which udev has treated a netdev last:
// at its last event.
func (k *Kernel) RulesSeen(netdev string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l := k.links.byName[netdev]; l != nil {
		return l.rules
	}
	return ""
}

// udevSees lets udev treat a netdev.
func (k *Kernel) udevSees(l *link) { l.rules = k.disk.contents(rulesFolder) }

// netdevUevent is uevent_store of drivers/base/core.c; the words that it takes are
// kobject_actions of lib/kobject_uevent.c.
func (k *Kernel) netdevUevent(l *link) *node {
	n := text(fmt.Sprintf("INTERFACE=%s\nIFINDEX=%d", l.name, l.index))
	n.write = func(data string) error {
		action := strings.TrimSpace(data)
		if !slices.Contains([]string{"add", "remove", "change", "move", "online", "offline", "bind", "unbind"}, action) {
			return refuse(syscall.EINVAL)
		}
		if action == "add" && l.role == roleRepresentor {
			k.forbid(l.name + ": an add event for a representor, which a CNI may have renamed")
		}
		k.udevSees(l)
		k.netlink(l)
		return nil
	}
	return n
}

// mountinfo is /proc/1/mountinfo: proc(5).
func (k *Kernel) mountinfo() *node {
	lines := []string{"21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"}
	for i, folder := range k.opts.ReadOnly {
		lines = append(lines, fmt.Sprintf("%d 21 8:1 /%s /%s ro,relatime shared:1 - ext4 /dev/sda1 rw", 30+i, folder, folder))
	}
	return text(strings.Join(lines, "\n"))
}
