package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
)

// nics is the support matrix.
func nics() string {
	var b strings.Builder
	b.WriteString(`# NICs

Generated from code by ` + "`make generate`" + `.

Every PF with the SR-IOV capability is configured, whether its model is in this list or not: what it can do is asked of its
driver and its devlink instance. The list names models in messages, and says what to expect.

## Models

The order of steps and the refusals that it avoids were read in the source of the drivers, and are tested on a simulated kernel
that has them. Nobody has told us yet of a try on hardware.

`)
	t := table.NewWriter()
	t.AppendHeader(table.Row{"NIC", "Vendor", "PF ids", "VF ids", "PF driver", "VF driver", "Offload", "Note"})
	for _, n := range driver.NICs() {
		t.AppendRow(table.Row{
			n.Name, n.Vendor, strings.Join(n.PFs, " "), strings.Join(n.VFs, " "),
			cmp.Or(n.Driver, "vendor's"), cmp.Or(n.VFDriver, "vendor's"), n.Offload, n.Note,
		})
	}
	b.WriteString(t.RenderMarkdown())
	b.WriteString(`

## Drivers

How VFs and switchdev mode come about. Going back, the steps are taken in the opposite order.

`)
	t = table.NewWriter()
	known := driver.Default()
	t.AppendHeader(table.Row{"PF driver", "Order", "Particular"})
	for _, name := range slices.Sorted(maps.Keys(known)) {
		s := known[name]
		t.AppendRow(table.Row{name, order(s.Order), s.Note})
	}
	t.AppendRow(table.Row{"any other", order(driver.Trial),
		"what worked is in status.interfaces[].switchdevOrder, and is remembered for all PFs of the driver; without an eswitch, legacy mode only"})
	b.WriteString(t.RenderMarkdown() + "\n")
	return b.String()
}

// order is an order in words.
func order(o driver.Order) string {
	return map[driver.Order]string{
		driver.VFsFirst:  "VFsFirst: create VFs, set the mode, bind VFs",
		driver.ModeFirst: "ModeFirst: set the mode without VFs, create VFs",
		driver.ModeFixed: "ModeFixed: create VFs",
		driver.Trial:     "VFsFirst; ModeFirst once that was refused (operation not supported, invalid argument)",
	}[o]
}
