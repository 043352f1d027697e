package simhost

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
)

// nfp is what an Agilio has besides other cards: its application is a file that
// the driver loads when it is bound, nfp_main.c.
type nfp struct {
	// media is the port configuration in names of firmware files.
	media string
	// linked is the application that an administrator has linked for this card;
	// empty for the one that a distribution chooses: nic.
	linked string
	// apps are the applications of which there are files, compressed with suffix.
	apps   []string
	suffix string
	// flash is the image in the card's own memory, empty if there is none.
	flash string
	// policy and reset are the devlink parameters fw_load_policy and
	// reset_dev_on_drv_probe, if the card has them.
	params        bool
	policy, reset int
	// kept: the card cannot be reset, and runs until the next boot what it runs.
	kept bool
	// ignores: whatever file there is, the card runs nic.
	ignores bool
	// vfs is sriov_totalvfs by application, where it is not the card's.
	vfs map[string]int
}

// Values of the devlink parameters, include/uapi/linux/devlink.h.
const (
	policyFlash = 1
	policyDisk  = 2
	resetAlways = 1
	resetNever  = 2
	resetDisk   = 3
)

// loaded is what runs on an Agilio.
type loaded struct {
	app, version string
	// byDriver: it is unloaded when the driver is unbound.
	byDriver bool
}

// change is an option for the part of an Agilio; it does nothing to other cards.
func change(f func(*nfp)) NICOption {
	return func(n *NIC) {
		if n.nfp == nil {
			return
		}
		changed := *n.nfp
		changed.vfs = maps.Clone(changed.vfs)
		f(&changed)
		n.nfp = &changed
	}
}

// Board is an Agilio of another assembly ("AMDA0097-0001") with another port
// configuration ("2x40").
func Board(id, media string) NICOption {
	return func(n *NIC) {
		n.board = id
		change(func(p *nfp) { p.media = media })(n)
	}
}

// FirmwareFiles are the applications of which the disk has files; the default is
// nic and flower.
func FirmwareFiles(apps ...string) NICOption { return change(func(p *nfp) { p.apps = apps }) }

// CompressedFirmware has firmware files with this suffix, ".zst" or ".xz".
func CompressedFirmware(suffix string) NICOption { return change(func(p *nfp) { p.suffix = suffix }) }

// FlashFirmware is an application in the card's own memory.
func FlashFirmware(app string) NICOption {
	return change(func(p *nfp) { p.flash = image(app, "") })
}

// FirmwareParams sets the devlink parameters fw_load_policy and
// reset_dev_on_drv_probe; the default is 2 and 3, disk.
func FirmwareParams(policy, reset int) NICOption {
	return change(func(p *nfp) { p.policy, p.reset = policy, reset })
}

// WithoutFirmwareParams is an Agilio whose management firmware is too old for
// the parameters.
func WithoutFirmwareParams() NICOption { return change(func(p *nfp) { p.params = false }) }

// KeepsFirmware is an Agilio that is not reset when its driver is bound anew: what
// it runs changes with the next boot only.
func KeepsFirmware() NICOption { return change(func(p *nfp) { p.kept = true }) }

// IgnoresFirmware is an Agilio that runs nic, whatever file its driver finds, at a
// new binding and after a boot.
func IgnoresFirmware() NICOption { return change(func(p *nfp) { p.ignores = true }) }

// AppVFs is sriov_totalvfs with an application, where it is not the card's.
func AppVFs(app string, n int) NICOption {
	return change(func(p *nfp) {
		if p.vfs == nil {
			p.vfs = map[string]int{}
		}
		p.vfs[app] = n
	})
}

// FirmwareImage is the content of a firmware file with an application, for
// PutFile.
func FirmwareImage(app, version string) string { return "nffw " + app + " " + version }

// image is what a file has for an assembly; empty fits all.
func image(app, assembly string) string {
	version := map[string]string{"flower": "AOTC-2.14.A.6", "flower-next": "AOTC-2.15.A.1", "nic": "nic-2.1.16.1", "ebpf": "ebpf-2.0.6", "abm": "abm-2.0.7"}[app]
	return strings.TrimSpace(FirmwareImage(strings.TrimSuffix(app, "-next"), version) + " " + assembly)
}

const firmwareFolder = "lib/firmware/netronome"

// firmware puts the files of a card on the disk, laid out as in linux-firmware.
func (d disk) firmware(n *NIC) {
	p := n.nfp
	if p == nil {
		return
	}
	assembly, _, _ := strings.Cut(n.board, "-")
	put := func(name string, f *file) { _, _ = d.place(path.Join(firmwareFolder, name)+p.suffix, f) }
	for _, app := range p.apps {
		name := fmt.Sprintf("nic_%s.nffw", assembly)
		put(app+"/"+name, &file{data: []byte(compress(p.suffix, image(app, assembly)))})
		put(fmt.Sprintf("%s/nic_%s_%s.nffw", app, n.board, p.media), &file{target: name + p.suffix})
	}
	board := fmt.Sprintf("nic_%s_%s.nffw", n.board, p.media)
	if slices.Contains(p.apps, "nic") {
		put(board, &file{target: "nic/" + board + p.suffix})
	}
	if p.linked != "" {
		put("pci-"+n.address+".nffw", &file{target: p.linked + "/" + board + p.suffix})
	}
}

// compress marks a content as compressed.
func compress(suffix, content string) string {
	if suffix == "" {
		return content
	}
	return suffix[1:] + ":" + content
}

// requestFirmware is request_firmware_direct, drivers/base/firmware_loader/main.c:
// the plain name in all folders, then the compressed ones.
func (k *Kernel) requestFirmware(name string) (string, bool) {
	folders := []string{"lib/firmware/updates/" + kernelRelease, "lib/firmware/updates", "lib/firmware/" + kernelRelease, "lib/firmware"}
	// A newline at its end is stripped since Linux 5.16.
	if custom := strings.TrimRight(k.firmwarePath, "\n"); custom != "" {
		folders = append([]string{strings.TrimPrefix(custom, "/")}, folders...)
	}
	for _, suffix := range []string{"", ".zst", ".xz"} {
		for _, folder := range folders {
			n, err := k.disk.lookup(path.Join(folder, name) + suffix)
			if err != nil || n.read == nil {
				continue
			}
			content, err := n.read()
			if err != nil || content == "" {
				continue
			}
			if suffix == "" {
				return content, true
			}
			if content, ok := strings.CutPrefix(content, suffix[1:]+":"); ok {
				return content, true
			}
		}
	}
	return "", false
}

const kernelRelease = "6.12.0"

// serial is the card's serial number, and the name of its own firmware file.
func (c *card) serial() []byte {
	var out []byte
	for part := range strings.SplitSeq(c.macs[0], ":") {
		var b byte
		_, _ = fmt.Sscanf(part, "%x", &b)
		out = append(out, b)
	}
	return out
}

// SerialFirmware names the firmware file of an Agilio's serial number, below
// lib/firmware.
func SerialFirmware(n NIC) string {
	c := &card{NIC: n}
	return "netronome/serial-" + strings.ReplaceAll(c.macs[0], ":", "-") + "-10-ff.nffw"
}

// configSpace has the Device Serial Number of a card: serial and interface.
func configSpace(fn *function) string {
	data := make([]byte, 4096)
	copy(data[0x100:], []byte{0x03, 0x00, 0x01, 0x00})
	s := fn.card.serial()
	copy(data[0x104:], []byte{0xff, 0x10, s[5], s[4], s[3], s[2], s[1], s[0]})
	return string(data)
}

// findFirmware is nfp_net_fw_find.
func (k *Kernel) findFirmware(fn *function) (string, bool) {
	c := fn.card
	k.nfpLog(fn, "Looking for firmware file in order of priority:")
	for _, name := range []string{
		SerialFirmware(c.NIC), "netronome/pci-" + fn.address + ".nffw", fmt.Sprintf("netronome/nic_%s_%s.nffw", c.board, c.nfp.media),
	} {
		content, ok := k.requestFirmware(name)
		k.nfpLog(fn, "  %s: %s", name, map[bool]string{true: "found", false: "not found"}[ok])
		if ok {
			return content, true
		}
	}
	return "", false
}

func (k *Kernel) nfpLog(fn *function, format string, args ...any) {
	k.log = append(k.log, fmt.Sprintf("nfp %s: nfp: %s", fn.address, fmt.Sprintf(format, args...)))
}

// loadFirmware is nfp_fw_load.
func (k *Kernel) loadFirmware(fn *function) error {
	c := fn.card
	content, found := k.findFirmware(fn)
	if c.nfp.kept && c.loaded.app != "" {
		return nil
	}
	if c.nfp.ignores {
		content, found = image("nic", ""), true
	}
	policy, reset := policyDisk, resetDisk
	if c.nfp.params {
		policy, reset = c.nfp.policy, c.nfp.reset
	}
	if reset == resetAlways || found && reset != resetNever {
		k.nfpLog(fn, "Soft-resetting the NFP")
		c.loaded = loaded{}
	}
	switch {
	case found && policy != policyFlash:
		if c.loaded.app != "" {
			return nil
		}
		run, ok := parseImage(content, c.board)
		if !ok {
			k.nfpLog(fn, "FW loading failed: -22")
			k.nfpLog(fn, "Failed to load FW")
			return refuse(syscall.EINVAL)
		}
		run.byDriver = true
		c.loaded = run
		k.nfpLog(fn, "Finished loading FW image")
	case policy != policyDisk && c.nfp.flash != "":
		c.loaded, _ = parseImage(c.nfp.flash, c.board)
		k.nfpLog(fn, "Finished loading stored FW image")
	default:
		k.nfpLog(fn, "Didn't load firmware, please update flash or reconfigure card")
	}
	return nil
}

// parseImage reads a firmware file; false for one of another board, or none at all.
func parseImage(content, board string) (loaded, bool) {
	words := strings.Fields(content)
	assembly, _, _ := strings.Cut(board, "-")
	shared := map[string]string{"AMDA0081": "AMDA0097", "AMDA0078": "AMDA0058"}[assembly]
	if len(words) < 3 || words[0] != "nffw" || len(words) > 3 && words[3] != assembly && words[3] != shared {
		return loaded{}, false
	}
	return loaded{app: words[1], version: words[2]}, true
}

// probeNFP is nfp_pci_probe up to the netdevs: it loads the firmware and becomes
// what that makes of the card.
func (k *Kernel) probeNFP(fn *function) error {
	c := fn.card
	if c == nil || c.nfp == nil || fn.pf == nil {
		return nil
	}
	if err := k.loadFirmware(fn); err != nil {
		return err
	}
	fail := func(text string) error {
		k.nfpLog(fn, "%s", text)
		k.unloadFirmware(fn)
		k.log = append(k.log, fmt.Sprintf("nfp %s: probe with driver nfp failed with error -22", fn.address))
		return refuse(syscall.EINVAL)
	}
	switch {
	case c.loaded.app == "":
		return fail("NFP is not ready for NIC operation.")
	case c.loaded.app == "flower" && c.loaded.version == "unsupported":
		return fail("FlowerNIC: unsupported firmware version")
	}
	flower := c.loaded.app == "flower"
	c.eswitch, c.flower, c.offload, c.offloadDefault = flower, flower, flower, flower
	c.firmware = c.loaded.version
	c.totalVFs = c.total
	if n, ok := c.nfp.vfs[c.loaded.app]; ok {
		c.totalVFs = n
	}
	return nil
}

// unloadFirmware is nfp_fw_unload, at the end of a driver that loaded it.
func (k *Kernel) unloadFirmware(fn *function) {
	if c := fn.card; c != nil && c.nfp != nil && fn.pf != nil && c.loaded.byDriver && !c.nfp.kept {
		k.nfpLog(fn, "Firmware safely unloaded")
		c.loaded = loaded{}
	}
}

// firmwareVersion is what a netdev's driver reports: of nfp, nfp_get_drvinfo, cut
// off at ETHTOOL_FWVERS_LEN.
func (l *link) firmwareVersion() string {
	if l.fn == nil || l.fn.card == nil {
		return ""
	}
	c := l.fn.card
	if c.nfp == nil || l.fn.pf == nil {
		return c.firmware
	}
	vnic := "0.0.3.5"
	if c.flower && l.role != roleControl {
		vnic = "*"
	}
	text := fmt.Sprintf("%s 0.35 %s %s", vnic, c.loaded.version, c.loaded.app)
	return text[:min(len(text), 31)]
}

// permanentParam is the getter of a permanent parameter.
func (k *Kernel) permanentParam(fn *function, name string) (int, error) {
	p := fn.card.nfp
	if fn.pf == nil || p == nil || !p.params {
		return 0, refuse(syscall.EINVAL)
	}
	switch name {
	case "fw_load_policy":
		return p.policy, nil
	case "reset_dev_on_drv_probe":
		return p.reset, nil
	}
	return 0, refuse(syscall.EINVAL)
}

// sysModule has the parameter firmware_class.path; what follows a NUL in what is
// written is not there for param_set_copystring.
func (k *Kernel) sysModule() *node {
	return nested("firmware_class/parameters", folder(entry{"path", func() *node {
		n := text(k.firmwarePath)
		n.write = func(data string) error {
			if data == "" {
				return nil
			}
			data, _, _ = strings.Cut(data, "\x00")
			if len(data) > 255 {
				return refuse(syscall.ENOSPC)
			}
			k.firmwarePath = data
			return nil
		}
		return n
	}}))
}
