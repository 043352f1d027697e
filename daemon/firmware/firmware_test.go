package firmware_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/firmware"
)

const (
	address = "0000:05:00.0"
	pciFile = "netronome/pci-" + address + ".nffw"
)

// folder has files; "name > target" is a link, with a ! at its end one to nowhere.
func folder(path string, files ...string) firmware.Folder {
	f := firmware.Folder{Path: path}
	for _, text := range files {
		name, target, _ := strings.Cut(text, " > ")
		target, broken := strings.CutSuffix(target, "!")
		f.Files = append(f.Files, firmware.File{Name: "netronome/" + name, Target: target, Broken: broken})
	}
	return f
}

func system(files ...string) firmware.Disk {
	return firmware.Disk{Folders: []firmware.Folder{folder(firmware.System, files...)}}
}

func board(id string) firmware.Card {
	return firmware.Card{PCIAddress: address, BoardID: id, SerialFile: "serial-00-15-4d-13-00-00-10-ff.nffw"}
}

func TestChoose(t *testing.T) {
	link := firmware.System + "/" + pciFile
	with := func(c firmware.Card, media string) firmware.Card {
		c.Media = media
		return c
	}
	for name, c := range map[string]struct {
		disk firmware.Disk
		card firmware.Card
		want firmware.Choice
	}{
		"of the assembly": {
			system("flower/nic_AMDA0097-0001_2x40.nffw > nic_AMDA0097.nffw", "flower/nic_AMDA0097.nffw"), with(board("AMDA0097-0001"), "2x40"),
			firmware.Choice{Link: link, Target: "flower/nic_AMDA0097.nffw"}},
		"of the ports": {
			system("flower/nic_AMDA0097-0001_2x40.nffw", "flower/nic_AMDA0097-0001_8x10.nffw"), with(board("AMDA0097-0001"), "8x10"),
			firmware.Choice{Link: link, Target: "flower/nic_AMDA0097-0001_8x10.nffw"}},
		"the only one, speeds unknown": {
			system("flower/nic_AMDA0097-0001_2x40.nffw", "flower/nic_AMDA0096-0001_2x10.nffw"), board("AMDA0097-0001"),
			firmware.Choice{Link: link, Target: "flower/nic_AMDA0097-0001_2x40.nffw"}},
		"of the assembly that shares it": {
			system("flower/nic_AMDA0097.nffw"), board("AMDA0081-0001"), firmware.Choice{Link: link, Target: "flower/nic_AMDA0097.nffw"}},
		"its own before that": {
			system("flower/nic_AMDA0081-0001_1x40.nffw", "flower/nic_AMDA0097.nffw"), with(board("AMDA0081-0001"), "1x40"),
			firmware.Choice{Link: link, Target: "flower/nic_AMDA0081-0001_1x40.nffw"}},
		"a board without revision": {
			system("flower/nic_CGX11.nffw"), board("CGX11"), firmware.Choice{Link: link, Target: "flower/nic_CGX11.nffw"}},
		"compressed": {
			system("flower/nic_AMDA0097.nffw.xz"), board("AMDA0097-0001"), firmware.Choice{Link: link + ".xz", Target: "flower/nic_AMDA0097.nffw.xz"}},
		"plain before compressed": {
			system("flower/nic_AMDA0097.nffw.zst", "flower/nic_AMDA0097.nffw"), board("AMDA0097-0001"), firmware.Choice{Link: link, Target: "flower/nic_AMDA0097.nffw"}},
		"a link to nowhere is none": {
			system("flower/nic_AMDA0097.nffw > ../gone!", "flower/nic_AMDA0097.nffw.zst"), board("AMDA0097-0001"),
			firmware.Choice{Link: link + ".zst", Target: "flower/nic_AMDA0097.nffw.zst"}},
		"in the folder of updates": {
			firmware.Disk{Folders: []firmware.Folder{folder("lib/firmware/updates", "flower/nic_AMDA0097.nffw"), folder(firmware.System, "flower/nic_AMDA0097.nffw")}}, board("AMDA0097-0001"),
			firmware.Choice{Link: link, Target: "/lib/firmware/updates/netronome/flower/nic_AMDA0097.nffw"}},
		"a link that fits stays, speeds unknown": {
			system("flower/nic_AMDA0097-0001_2x40.nffw", "flower/nic_AMDA0097.nffw", "pci-"+address+".nffw > flower/nic_AMDA0097-0001_2x40.nffw"), board("AMDA0097-0001"),
			firmware.Choice{Link: link, Target: "flower/nic_AMDA0097-0001_2x40.nffw"}},
		"one for other ports does not": {
			system("flower/nic_AMDA0097-0001_2x40.nffw", "flower/nic_AMDA0097.nffw", "pci-"+address+".nffw > flower/nic_AMDA0097-0001_2x40.nffw"), with(board("AMDA0097-0001"), "8x10"),
			firmware.Choice{Link: link, Target: "flower/nic_AMDA0097.nffw"}},
		"nor one of another board": {
			system("flower/nic_AMDA0099.nffw", "flower/nic_AMDA0097.nffw", "pci-"+address+".nffw > flower/nic_AMDA0099.nffw"), board("AMDA0097-0001"),
			firmware.Choice{Link: link, Target: "flower/nic_AMDA0097.nffw"}},
		"the serial number of another card": {
			system("flower/nic_AMDA0097.nffw", "serial-00-15-4d-13-00-01-10-ff.nffw"), board("AMDA0097-0001"), firmware.Choice{Link: link, Target: "flower/nic_AMDA0097.nffw"}},
		"a folder of somebody else's that can be written": {
			firmware.Disk{SearchPath: "var/lib/firmware", Folders: []firmware.Folder{
				folder("var/lib/firmware"), {Path: firmware.System, ReadOnly: true, Files: folder("", "flower/nic_AMDA0097.nffw").Files}}}, board("AMDA0097-0001"),
			firmware.Choice{Link: "var/lib/firmware/" + pciFile, Target: "/lib/firmware/netronome/flower/nic_AMDA0097.nffw"}},
		"our folder": {
			firmware.Disk{Ours: firmware.Folder{Path: firmware.Own}, Folders: []firmware.Folder{{Path: firmware.System, ReadOnly: true, Files: folder("", "flower/nic_AMDA0097.nffw").Files}}}, board("AMDA0097-0001"),
			firmware.Choice{Link: firmware.Own + "/" + pciFile, Target: "/lib/firmware/netronome/flower/nic_AMDA0097.nffw", SearchPath: firmware.Own}},
	} {
		t.Run(name, func(t *testing.T) {
			got, refusal := firmware.Choose(c.disk, c.card, "flower")
			if diff := cmp.Diff(c.want, got); diff != "" || refusal != nil {
				t.Errorf("choice, refusal %+v:\n%s", refusal, diff)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	value := func(n int) *int { return &n }
	plain := system("flower/nic_AMDA0097.nffw")
	unserial := board("AMDA0097-0001")
	unserial.SerialFile = ""
	for name, c := range map[string]struct {
		disk firmware.Disk
		card firmware.Card
		kind firmware.Kind
		says string
	}{
		"flash":                  {plain, firmware.Card{PCIAddress: address, BoardID: "AMDA0097-0001", LoadPolicy: value(1)}, firmware.Defeated, "fw_load_policy"},
		"never":                  {plain, firmware.Card{PCIAddress: address, BoardID: "AMDA0097-0001", ResetOnProbe: value(2)}, firmware.Defeated, "reset_dev_on_drv_probe"},
		"no board":               {plain, board(""), firmware.NoBoard, `""`},
		"a board that is a path": {plain, board("../x"), firmware.NoBoard, "../x"},
		"no file":                {plain, board("AMDA0099-0001"), firmware.NoFile, "nic_AMDA0099.nffw, nic_AMDA0099-0001.nffw, nic_AMDA0099-0001_*.nffw"},
		"several, speeds unknown": {
			system("flower/nic_AMDA0097-0001_2x40.nffw", "flower/nic_AMDA0097-0001_8x10.nffw"), board("AMDA0097-0001"), firmware.NoFile, "speed of a port is not known"},
		"the serial number": {
			system("flower/nic_AMDA0097.nffw", "serial-00-15-4d-13-00-00-10-ff.nffw.xz"), board("AMDA0097-0001"), firmware.Preferred, "serial-00-15-4d-13-00-00-10-ff.nffw.xz"},
		"any serial number, this card's not known": {
			system("flower/nic_AMDA0097.nffw", "serial-00-15-4d-13-99-99-10-ff.nffw"), unserial, firmware.Preferred, "the card's is not known"},
		"a file in the place of the link": {
			system("flower/nic_AMDA0097.nffw", "pci-"+address+".nffw"), board("AMDA0097-0001"), firmware.Preferred, "a file where the link should be"},
		"a plain name before a compressed one": {
			system("flower/nic_AMDA0097.nffw.xz", "pci-"+address+".nffw > nic/nic_AMDA0097.nffw"), board("AMDA0097-0001"), firmware.Preferred, "comes first"},
		"a link in an earlier folder": {
			firmware.Disk{Folders: []firmware.Folder{folder("lib/firmware/updates", "pci-"+address+".nffw > nic/x.nffw"), plain.Folders[0]}}, board("AMDA0097-0001"),
			firmware.Preferred, "/lib/firmware/updates/netronome/pci-"},
		"nowhere to write": {
			firmware.Disk{Ours: firmware.Folder{Path: firmware.Own, ReadOnly: true}, Folders: []firmware.Folder{{Path: firmware.System, ReadOnly: true, Files: plain.Folders[0].Files}}},
			board("AMDA0097-0001"), firmware.ReadOnly, "both read-only"},
		"a path of somebody else's": {
			firmware.Disk{SearchPath: "x", Folders: []firmware.Folder{{Path: "x", ReadOnly: true}, {Path: firmware.System, ReadOnly: true, Files: plain.Folders[0].Files}}},
			board("AMDA0097-0001"), firmware.ReadOnly, "not ours"},
	} {
		t.Run(name, func(t *testing.T) {
			got, refusal := firmware.Choose(c.disk, c.card, "flower")
			if refusal == nil || refusal.Kind != c.kind || !strings.Contains(refusal.Message, c.says) || got != (firmware.Choice{}) {
				t.Errorf("choice %+v, refusal %+v; want one of kind %d that says %q", got, refusal, c.kind, c.says)
			}
		})
	}
}

// What the driver says, and nothing else, names the application: an abm has an
// eswitch as well, and a long version cuts the name off.
func TestRunning(t *testing.T) {
	for _, c := range []struct {
		text    string
		eswitch bool
		want    string
	}{
		{"0.0.3.5 0.22 nic-2.0.4 nic", false, "nic"},
		{"* 0.35 AOTC-2.14.A.6 flower", true, "flower"},
		{"0.0.5.5 0.35 AOTC-2.14.A.6 flower"[:31], true, "flower"},
		{"0.0.5.5 0.35 AOTC-2.14.A.6-long-one flower"[:31], true, ""},
		{"0.0.3.5 0.22 abm-2.0.4 abm", true, "abm"},
		{"0.0.3.5 0.22 ebpf-2.0.6.1 ebpf", false, "ebpf"},
		{"0.0.3.5 0.22 flower-2.0.4 nic", false, "nic"},
		{"* 0.35 AOTC-2.14.A.6 flower", false, ""},
		{"0.0.3.5 0.22 nic-2.0.4 nic", true, ""},
		{"0.0.3.5 0.22 x-2.0.4 flow", true, ""},
		{"", true, ""},
	} {
		got, err := firmware.Running(c.text, c.eswitch)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q, eswitch %t: %q, %v; want %q", c.text, c.eswitch, got, err, c.want)
		}
	}
}

func TestMedia(t *testing.T) {
	for _, c := range []struct {
		mbps []int
		want string
	}{
		{[]int{40000, 40000}, "2x40"}, {[]int{10000, 10000, 10000, 10000, 40000}, "4x10_1x40"}, {[]int{10000, 25000}, "1x10_1x25"},
		{[]int{25000, 0}, ""}, {nil, ""},
	} {
		if got := firmware.Media(c.mbps); got != c.want {
			t.Errorf("%v: %q, want %q", c.mbps, got, c.want)
		}
	}
}

func TestSerialFile(t *testing.T) {
	config := make([]byte, 4096)
	// Another capability first, then the serial number.
	copy(config[0x100:], []byte{0x01, 0x00, 0x01, 0x14})
	copy(config[0x140:], []byte{0x03, 0x00, 0x01, 0x00, 0xff, 0x10, 0x0c, 0x51, 0x13, 0x4d, 0x15, 0x00})
	if got, ok := firmware.SerialFile(config); got != "serial-00-15-4d-13-51-0c-10-ff.nffw" || !ok {
		t.Errorf("serial file %q", got)
	}
	circle := make([]byte, 4096)
	copy(circle[0x100:], []byte{0x01, 0x00, 0x01, 0x10})
	for name, data := range map[string][]byte{"short": config[:256], "none": make([]byte, 4096), "circle": circle, "cut off": config[:0x148]} {
		if got, ok := firmware.SerialFile(data); ok {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzSerialFile(f *testing.F) {
	f.Add(make([]byte, 300))
	f.Fuzz(func(_ *testing.T, data []byte) { firmware.SerialFile(data) })
}

func TestInitramfs(t *testing.T) {
	choice := firmware.Choice{Link: firmware.System + "/" + pciFile, Target: "flower/nic_AMDA0097.nffw"}
	got, ok := firmware.Initramfs(firmware.Disk{Dracut: true}, address, choice)
	want := firmware.DropIn{
		Path: "etc/dracut.conf.d/98-sriov-offload-firmware-0000-05-00.0.conf",
		Content: `# Written by sriov-offload-operator; in force when the initramfs is built again: dracut -f
install_items+=" /lib/firmware/netronome/pci-0000:05:00.0.nffw /lib/firmware/netronome/flower/nic_AMDA0097.nffw "
`,
	}
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("dracut:\n%s", diff)
	}
	got, ok = firmware.Initramfs(firmware.Disk{InitramfsTools: true}, address, choice)
	if !ok || !got.Executable || !strings.Contains(got.Content, `cp -pL "/lib/firmware/netronome/pci-0000:05:00.0.nffw" "${DESTDIR}/lib/firmware/netronome/pci-0000:05:00.0.nffw"`) {
		t.Errorf("initramfs-tools: %+v", got)
	}
	if _, ok := firmware.Initramfs(firmware.Disk{}, address, choice); ok {
		t.Error("a drop-in for no tool")
	}
	choice = firmware.Choice{Link: firmware.Own + "/" + pciFile, Target: "/lib/firmware/x", SearchPath: firmware.Own}
	if _, ok := firmware.Initramfs(firmware.Disk{Dracut: true}, address, choice); ok {
		t.Error("a drop-in for a link outside of the initramfs")
	}
}
