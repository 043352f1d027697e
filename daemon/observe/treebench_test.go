package observe_test

import (
	"fmt"
	"testing"
)

// BenchmarkTree observes files, as on a real machine: four PFs with 127 VFs each.
func BenchmarkTree(b *testing.B) {
	files := map[string]string{boot: "b00t\n"}
	for pf := range 4 {
		attributes := sriov(map[string]string{"sriov_numvfs": "127\n"})
		for vf := range 127 {
			address := fmt.Sprintf("0000:%02x:%02x.%d", 0x3b+pf, 1+vf/8, vf%8)
			attributes[fmt.Sprintf("virtfn%d", vf)] = "-> ../" + address
			device(files, address, map[string]string{
				"class": "0x020000\n", "driver_override": "(null)\n", "driver": "-> ../../../bus/pci/drivers/vfio-pci",
				"iommu_group": fmt.Sprintf("-> ../../../kernel/iommu_groups/%d", 127*pf+vf),
			})
		}
		device(files, fmt.Sprintf("0000:%02x:00.0", 0x3b+pf), attributes)
	}
	h := static{}.host(plantTree(b, files))
	b.ReportAllocs()
	for b.Loop() {
		if n := node(b, h); len(n.PFs) != 4 || len(n.PFs[3].VFs) != 127 {
			b.Fatal("PFs or VFs are missing")
		}
	}
}
