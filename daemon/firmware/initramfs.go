package firmware

import (
	"fmt"
	"path"
	"strings"
)

// DropIn is a file that makes the tool for the initramfs take the firmware along:
// files named after a PCI address are none that the module names, so that no tool
// takes them by itself.
type DropIn struct {
	Path       string
	Content    string
	Executable bool
}

// Initramfs returns the drop-in for a link; false where there is no tool for it,
// or the link is not where an initramfs would have it.
func Initramfs(d Disk, pciAddress string, choice Choice) (DropIn, bool) {
	if choice.SearchPath != "" || !strings.HasPrefix(choice.Link, System+"/") {
		return DropIn{}, false
	}
	// initramfs-tools runs only scripts whose names are letters, digits, dots,
	// dashes and underscores.
	name := "sriov-offload-firmware-" + strings.ReplaceAll(pciAddress, ":", "-")
	link := "/" + choice.Link
	switch {
	case d.Dracut:
		file := choice.Target
		if !path.IsAbs(file) {
			file = path.Join(path.Dir(link), file)
		}
		return DropIn{
			Path:    "etc/dracut.conf.d/98-" + name + ".conf",
			Content: fmt.Sprintf("# Written by sriov-offload-operator; in force when the initramfs is built again: dracut -f\ninstall_items+=\" %s %s \"\n", link, file),
		}, true
	case d.InitramfsTools:
		return DropIn{Path: "etc/initramfs-tools/hooks/" + name, Content: hook(link), Executable: true}, true
	}
	return DropIn{}, false
}

// hook copies what the link leads to under the link's name. Without the file,
// the initramfs is made all the same.
func hook(link string) string {
	return fmt.Sprintf(`#!/bin/sh
# Written by sriov-offload-operator; in force when the initramfs is built again: update-initramfs -u
case "$1" in
prereqs)
	exit 0
	;;
esac
if [ -e "%[1]s" ]; then
	mkdir -p "${DESTDIR}%[2]s"
	cp -pL "%[1]s" "${DESTDIR}%[1]s"
fi
`, link, path.Dir(link))
}
