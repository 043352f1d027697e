package observe

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/firmware"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

func TestReadOnlyMounts(t *testing.T) {
	m := parseMounts(`21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 8:2 / /usr ro,relatime shared:2 - squashfs /dev/sda2 ro
23 22 8:3 / /usr/local rw - ext4 /dev/sda3 rw
24 21 8:4 / /mnt/with\040space rw - ext4 /dev/sda4 ro,errors=remount-ro
25 21 8:5 / /srv ro - ext4 /dev/sda5 rw
26 21 8:6 / /srv rw - ext4 /dev/sda6 rw
not a line
`)
	for name, want := range map[string]bool{
		"usr/lib/firmware": true, "usr": true, "usrlocal": false, "usr/local/lib": false, "var/lib": false, "mnt/with space/x": true, "srv": false,
	} {
		if got := m.readOnly(name); got != want {
			t.Errorf("%s is read-only: %t", name, got)
		}
	}
}

// Links are followed wherever they lead, also those that are absolute; a link to
// nowhere, or in a circle, is broken.
func TestFirmwareFiles(t *testing.T) {
	k := simhost.New(simhost.Options{ReadOnly: []string{"usr"}})
	defer k.Close()
	h := k.Admin()
	for name, target := range map[string]string{
		"srv/fw": "/usr/lib/fw", "usr/lib/fw/netronome/app/b.nffw": "a.nffw", "usr/lib/fw/netronome/pci-x.nffw": "/usr/lib/fw/netronome/app/b.nffw",
		"usr/lib/fw/netronome/gone.nffw": "app/c.nffw", "usr/lib/fw/netronome/circle.nffw": "circle.nffw",
	} {
		if err := k.PutLink(name, target); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"usr/lib/fw/netronome/app/a.nffw", "usr/lib/fw/netronome/README", "usr/lib/fw/other/x.nffw"} {
		if err := k.PutFile(name, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.FS.WriteFile(t.Context(), firmware.SearchPathParameter, []byte("/srv/fw\n")); err != nil {
		t.Fatal(err)
	}
	s := &diskScan{}
	s.read(t.Context(), h.FS)
	want := firmware.Disk{
		SearchPath: "srv/fw",
		Folders: []firmware.Folder{
			{Path: "srv/fw", ReadOnly: true, Files: []firmware.File{
				{Name: "netronome/app/a.nffw"},
				{Name: "netronome/app/b.nffw", Target: "a.nffw"},
				{Name: "netronome/circle.nffw", Target: "circle.nffw", Broken: true},
				{Name: "netronome/gone.nffw", Target: "app/c.nffw", Broken: true},
				{Name: "netronome/pci-x.nffw", Target: "/usr/lib/fw/netronome/app/b.nffw"},
			}},
			{Path: firmware.System, VendorMissing: true},
		},
		Ours: firmware.Folder{Path: firmware.Own, VendorMissing: true},
	}
	if diff := cmp.Diff(want, s.disk); diff != "" || s.err != nil {
		t.Errorf("disk, %v:\n%s", s.err, diff)
	}
}
