package guides_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

func newReader(data []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(data)) }

// models that a machine may have.
var models = map[string]func(...simhost.NICOption) simhost.NIC{
	"cx4lx": simhost.ConnectX4Lx, "cx5": simhost.ConnectX5, "cx6dx": simhost.ConnectX6Dx, "igb": simhost.Igb82576,
	"e810": simhost.E810, "bnxt": simhost.BCM57414, "flower": simhost.AgilioFlower, "nfp": simhost.AgilioNIC,
}

// options of models; those with a value have it after an equals sign.
func option(text string) (simhost.NICOption, error) {
	name, value, _ := strings.Cut(text, "=")
	switch name {
	case "at":
		return simhost.At(value), nil
	case "total":
		n, err := strconv.Atoi(value)
		return simhost.TotalVFs(n), err
	case "down":
		return simhost.Down(), nil
	case "noeswitch":
		return simhost.WithoutEswitch(), nil
	case "compat":
		return simhost.CompatSteering(), nil
	case "nosteering":
		return simhost.WithoutSteering(), nil
	case "infiniband":
		return simhost.Infiniband(), nil
	case "firmware":
		return simhost.FirmwareFiles(strings.Split(value, ",")...), nil
	}
	return nil, errors.New("no such option")
}

// prepare does to the machine, in order:
//
//	nic MODEL [OPTION...]     a card; act 1 only, before everything else
//	noiommu                   no IOMMU; act 1 only, before everything else
//	numvfs PF N               set by hand
//	mode PF MODE              eswitch mode, set by hand
//	up|down NETDEV
//	bond NAME MODE NETDEV...  a bond that somebody else made
//	pod PF VF POD             a pod gets a VF
//	release PF VF             the pod is gone
//	network NETDEV WHY...     the node's network depends on it; without WHY no longer
//	file PATH TEXT...
//	reboot
//	fail OP ERRNO [log] TEXT...   from now on, see simhost.Fault: TEXT is the netlink
//	                          extended acknowledgement, or with log a line of the kernel log
//	heal                      nothing fails any more
func (p *play) prepare(script string) {
	p.t.Helper()
	if p.k == nil {
		script = p.boot(script)
	}
	for line := range strings.Lines(script) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := p.command(words[0], words[1:]); err != nil {
			p.t.Fatalf("%s: %v", strings.TrimSpace(line), err)
		}
		p.k.Settle()
	}
}

// boot makes the machine and returns the commands that are left.
func (p *play) boot(script string) string {
	p.t.Helper()
	opts := simhost.Options{Delays: simhost.TypicalDelays()}
	var rest strings.Builder
	for line := range strings.Lines(script) {
		words := strings.Fields(line)
		switch {
		case len(words) == 1 && words[0] == "noiommu":
			opts.NoIOMMU = true
		case len(words) > 1 && words[0] == "nic":
			make := models[words[1]]
			if make == nil {
				p.t.Fatalf("no model %s", words[1])
			}
			var options []simhost.NICOption
			for _, word := range words[2:] {
				o, err := option(word)
				if err != nil {
					p.t.Fatalf("%s: %v", line, err)
				}
				options = append(options, o)
			}
			opts.NICs = append(opts.NICs, make(options...))
		default:
			rest.WriteString(line)
		}
	}
	p.k = simhost.New(opts)
	p.k.Settle()
	return rest.String()
}

func (p *play) command(name string, args []string) error {
	h := p.k.Admin()
	switch name {
	case "numvfs":
		return h.FS.WriteFile(p.ctx, "sys/bus/pci/devices/"+args[0]+"/sriov_numvfs", []byte(args[1]))
	case "mode":
		return h.Devlink.SetEswitchMode(p.ctx, host.DevlinkOf(args[0]), args[1])
	case "up", "down":
		index, err := p.link(args[0])
		if err != nil {
			return err
		}
		return h.Links.SetUp(p.ctx, index, name == "up")
	case "bond":
		err := p.k.AddBond(args[0], simhost.BondOptions{Mode: args[1], MiimonMilliseconds: 100})
		for _, member := range args[2:] {
			err = errors.Join(err, p.k.Enslave(args[0], member))
		}
		return err
	case "pod":
		vf, err := p.vf(args[0], args[1])
		if err != nil {
			return err
		}
		return p.k.AssignVF(vf, args[2])
	case "release":
		vf, err := p.vf(args[0], args[1])
		if err != nil {
			return err
		}
		return p.k.ReleaseVF(vf)
	case "network":
		p.k.SetNodeNetwork(args[0], strings.Join(args[1:], " "))
	case "file":
		return p.k.PutFile(args[0], strings.Join(args[1:], " ")+"\n")
	case "reboot":
		p.k.Reboot()
	case "fail":
		return p.fail(args)
	case "heal":
		p.k.ClearFaults()
	default:
		return errors.New("no such command")
	}
	return nil
}

var errnos = map[string]syscall.Errno{
	"EBUSY": syscall.EBUSY, "ERANGE": syscall.ERANGE, "ENOENT": syscall.ENOENT, "ENOMEM": syscall.ENOMEM, "EPERM": syscall.EPERM,
	"EOPNOTSUPP": syscall.EOPNOTSUPP, "EINVAL": syscall.EINVAL, "ENODEV": syscall.ENODEV, "EIO": syscall.EIO,
}

// fail injects "OP = VALUE ERRNO text..." or "OP = VALUE ERRNO log text...".
func (p *play) fail(args []string) error {
	for i, word := range args {
		errno, ok := errnos[word]
		if !ok {
			continue
		}
		f := simhost.Fault{Op: strings.Join(args[:i], " "), Errno: errno, Times: -1}
		rest := args[i+1:]
		if len(rest) > 0 && rest[0] == "log" {
			f.Log = strings.Join(rest[1:], " ")
		} else {
			f.Text = strings.Join(rest, " ")
		}
		p.k.Fail(f)
		return nil
	}
	return errors.New("no errno")
}

func (p *play) link(name string) (int, error) {
	list, err := p.k.Admin().Links.List(p.ctx)
	if err != nil {
		return 0, err
	}
	for _, l := range list {
		if l.Name == name {
			return l.Index, nil
		}
	}
	return 0, fmt.Errorf("no link %s", name)
}

func (p *play) vf(pf, index string) (string, error) {
	target, err := p.k.Admin().FS.ReadLink(p.ctx, "sys/bus/pci/devices/"+pf+"/virtfn"+index)
	return path.Base(target), err
}
