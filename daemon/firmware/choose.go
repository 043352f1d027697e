package firmware

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Card is what the choice must know of a card.
type Card struct {
	PCIAddress string
	// BoardID is devlink's board.id: the assembly and its revision,
	// "AMDA0097-0001".
	BoardID string
	// SerialFile is the name of the file that the driver wants first,
	// "serial-00-15-4d-13-51-0c-10-ff.nffw"; empty when the card's serial number
	// is not known.
	SerialFile string
	// Media is the port configuration as file names have it, "2x40" or
	// "4x10_1x40"; empty when a port's speed is not known.
	Media string
	// LoadPolicy and ResetOnProbe are the devlink parameters fw_load_policy and
	// reset_dev_on_drv_probe; nil when the device has none: then its driver acts
	// as with disk.
	LoadPolicy, ResetOnProbe *int
}

// Values of the devlink parameters that keep a file from being loaded
// (include/uapi/linux/devlink.h). All others, unknown ones among them, lead the
// driver to load the file that it finds.
const (
	LoadFromFlash = 1
	ResetNever    = 2
)

// Choice is a link and what it leads to.
type Choice struct {
	// Link is the path of the link, from the root.
	Link string
	// Target of the link: relative within one folder, else absolute.
	Target string
	// SearchPath is the folder that firmware_class.path must name, from the root;
	// empty when the kernel looks into the link's folder anyway.
	SearchPath string
}

// Kind of a refusal.
type Kind int

// Kinds of refusals.
const (
	// NoBoard: the card does not say which board it is.
	NoBoard Kind = iota
	// NoFile: no file fits the board.
	NoFile
	// Preferred: the driver would take another file.
	Preferred
	// Defeated: a parameter keeps the driver from loading a file.
	Defeated
	// ReadOnly: there is no folder that can be written and that the kernel looks into.
	ReadOnly
)

// Refusal is why there is no choice.
type Refusal struct {
	Kind    Kind
	Message string
	// Remedy names files and folders; empty where the kind says enough.
	Remedy string
}

// aliases are assemblies that run the firmware of another one: AMDA0081 as the
// vendor's own script has it, AMDA0078 as the links of linux-firmware have it.
var aliases = map[string]string{"AMDA0081": "AMDA0097", "AMDA0078": "AMDA0058"}

// Choose returns the link that makes a card load an application, or why there
// is none.
func Choose(d Disk, card Card, app string) (Choice, *Refusal) {
	if refusal := checkParameters(card); refusal != nil {
		return Choice{}, refusal
	}
	if !isBoard(card.BoardID) {
		return Choice{}, &Refusal{Kind: NoBoard, Message: fmt.Sprintf("the card's board.id is %q, which is no board", card.BoardID)}
	}
	choice, searched, linked := kept(d, card, app)
	if !linked {
		file, looked, ok := pick(d, card, app)
		if !ok {
			return Choice{}, noFile(d, card, app, looked)
		}
		var refusal *Refusal
		if choice, searched, refusal = place(d, card, file); refusal != nil {
			return Choice{}, refusal
		}
	}
	if refusal := preferred(searched, card, choice); refusal != nil {
		return Choice{}, refusal
	}
	return choice, nil
}

func checkParameters(card Card) *Refusal {
	remedy := func(name string) string {
		return fmt.Sprintf("Set it to disk: devlink dev param set pci/%s name %s value disk cmode permanent.", card.PCIAddress, name)
	}
	switch {
	case card.LoadPolicy != nil && *card.LoadPolicy == LoadFromFlash:
		return &Refusal{Defeated, "the devlink parameter fw_load_policy is flash: the driver loads no file from the disk", remedy("fw_load_policy")}
	case card.ResetOnProbe != nil && *card.ResetOnProbe == ResetNever:
		return &Refusal{Defeated, "the devlink parameter reset_dev_on_drv_probe is never: the driver keeps the firmware that runs", remedy("reset_dev_on_drv_probe")}
	}
	return nil
}

// isBoard tells whether a text can be part of a file name.
func isBoard(id string) bool {
	unfit := func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '/' }
	return id != "" && id[0] != '-' && !strings.ContainsFunc(id, unfit)
}

// kept is the link that the driver would follow already, if it leads to a file of
// the application for this board: whether the speeds of the ports are known comes
// and goes, and must not move a link.
func kept(d Disk, card Card, app string) (Choice, Disk, bool) {
	file, ok := d.find(pciName(card))
	base := path.Base(file.Target)
	if !ok || App(file.Target) != app || suffixOf(base) != suffixOf(file.Name) {
		return Choice{}, d, false
	}
	rest, fits := "", false
	for _, board := range boards(card.BoardID) {
		assembly, _, _ := strings.Cut(board, "-")
		for _, name := range []string{assembly, board} {
			if after, ok := strings.CutPrefix(plain(base), "nic_"+name); ok && (after == ".nffw" || after[0] == '_') {
				rest, fits = after, true
			}
		}
	}
	if !fits || rest != ".nffw" && card.Media != "" && rest != "_"+card.Media+".nffw" {
		return Choice{}, d, false
	}
	choice := Choice{Link: file.path(), Target: file.Target}
	if file.folder == Own {
		choice.SearchPath = Own
	}
	return choice, d, true
}

// pciName is the name of the file, without suffix, that is the card's by its
// PCI address.
func pciName(card Card) string { return path.Join(Vendor, "pci-"+card.PCIAddress+".nffw") }

// boards are a board and the one whose firmware it shares.
func boards(id string) []string {
	out := []string{id}
	assembly, _, _ := strings.Cut(id, "-")
	if other := aliases[assembly]; other != "" {
		out = append(out, strings.Replace(id, assembly, other, 1))
	}
	return out
}

// pick returns the file for a board and the names that were looked for: that of
// the assembly, of the board, of the board with these ports, or the only one of
// the board for any ports; then the same of the assembly whose firmware it shares.
func pick(d Disk, card Card, app string) (file found, looked []string, ok bool) {
	folder := path.Join(Vendor, app) + "/"
	for _, board := range boards(card.BoardID) {
		assembly, revision, _ := strings.Cut(board, "-")
		var names []string
		if revision != "" {
			names = append(names, fmt.Sprintf("nic_%s.nffw", assembly))
		}
		names = append(names, fmt.Sprintf("nic_%s.nffw", board))
		if card.Media != "" {
			names = append(names, fmt.Sprintf("nic_%s_%s.nffw", board, card.Media))
		}
		for _, name := range names {
			looked = append(looked, name)
			if file, ok := d.find(folder + name); ok {
				return file, looked, true
			}
		}
		// With known ports, a file for others is not for this card.
		if card.Media != "" {
			continue
		}
		looked = append(looked, fmt.Sprintf("nic_%s_*.nffw", board))
		if only := d.names(folder + "nic_" + board + "_"); len(only) == 1 {
			file, ok := d.find(only[0])
			return file, looked, ok
		}
	}
	return found{}, looked, false
}

func noFile(d Disk, card Card, app string, looked []string) *Refusal {
	folder := "/" + path.Join(System, Vendor, app)
	message := fmt.Sprintf("there is no %s firmware for board %s in %s; looked for %s, also with .zst and .xz", app, card.BoardID, folder, strings.Join(looked, ", "))
	if several := d.names(path.Join(Vendor, app) + "/nic_" + card.BoardID + "_"); len(several) > 1 && card.Media == "" {
		message += "; there are several for other port configurations, and the speed of a port is not known"
	}
	return &Refusal{NoFile, message, fmt.Sprintf("Install the %s firmware of the NIC's vendor, or linux-firmware, so that %s has one of these files; with several port configurations, connect all ports.", app, folder)}
}

// place decides where the link goes, and returns the folders that the kernel
// then looks into.
func place(d Disk, card Card, file found) (Choice, Disk, *Refusal) {
	name := pciName(card) + suffixOf(file.Name)
	folder, searchPath := "", ""
	for i := range slices.Backward(d.Folders) {
		f := &d.Folders[i]
		if !f.ReadOnly && (f.Path == System || f.Path == d.SearchPath && f.Path != Own) && folder == "" {
			folder = f.Path
		}
	}
	if folder == "" {
		if d.SearchPath != "" && d.SearchPath != Own {
			return Choice{}, d, &Refusal{ReadOnly, fmt.Sprintf("/%s is read-only, and firmware_class.path is /%s, which is not ours and cannot be written", System, d.SearchPath), ""}
		}
		if d.Ours.ReadOnly {
			return Choice{}, d, &Refusal{ReadOnly, fmt.Sprintf("/%s and /%s are both read-only", System, Own), ""}
		}
		folder, searchPath = Own, Own
		if d.SearchPath == "" {
			d.Folders = append([]Folder{d.Ours}, d.Folders...)
		}
	}
	choice := Choice{Link: path.Join(folder, name), Target: "/" + file.path(), SearchPath: searchPath}
	if file.folder == folder {
		choice.Target = strings.TrimPrefix(file.Name, Vendor+"/")
	}
	return choice, d, nil
}

// preferred refuses when the driver would load another file than that of the link.
func preferred(d Disk, card Card, choice Choice) *Refusal {
	wins := func(path, why string) *Refusal {
		return &Refusal{Preferred, fmt.Sprintf("the driver would load /%s instead of the operator's link: %s", path, why), fmt.Sprintf("Remove /%s from the node, or remove firmwareApp from the policy.", path)}
	}
	serials := []string{path.Join(Vendor, card.SerialFile)}
	why := "it is named after the card's serial number"
	if card.SerialFile == "" {
		serials = d.names(path.Join(Vendor, "serial-"))
		why = "it is named after a serial number, and the card's is not known"
	}
	for _, serial := range serials {
		if file, ok := d.find(serial); ok {
			return wins(file.path(), why)
		}
	}
	for _, file := range d.all(pciName(card)) {
		if file.path() != choice.Link {
			if file.rank < d.rank(choice.Link) {
				return wins(file.path(), "it is named after the card's PCI address and comes first")
			}
		} else if file.Target == "" {
			return wins(file.path(), "it is a file where the link should be, and not the operator's")
		}
	}
	return nil
}

// rank of a path in the kernel's order.
func (d *Disk) rank(at string) int {
	for i := range d.Folders {
		if strings.HasPrefix(at, d.Folders[i].Path+"/"+Vendor+"/") {
			return slices.Index(suffixes, suffixOf(at))*(len(d.Folders)+1) + i + 1
		}
	}
	return 0
}

// Linked returns the application that the link named after the card's PCI
// address leads to; empty if there is no such link, or it leads to no folder
// of an application. It is what a driver would load that is bound now.
func Linked(d Disk, pciAddress string) string {
	file, ok := d.find(path.Join(Vendor, "pci-"+pciAddress+".nffw"))
	if !ok {
		return ""
	}
	return App(file.Target)
}

// App returns the application whose file a link leads to: the name of the file's
// folder.
func App(target string) string {
	if !strings.Contains(target, "/") {
		return ""
	}
	app := path.Base(path.Dir(target))
	if app == Vendor {
		return ""
	}
	return app
}

// Runs is the name under which the driver knows an application: flower-next is
// the next version of flower.
func Runs(app string) string { return strings.TrimSuffix(app, "-next") }
