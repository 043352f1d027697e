package hostfile

// Modprobe returns the file of options for modules. With an RDMA namespace mode, the
// RDMA core has it when it is loaded: "shared" is its parameter netns_mode=1,
// "exclusive" is 0 (drivers/infiniband/core/device.c). Without one, there should be
// no file.
func Modprobe(rdmaMode string) File {
	f := File{Path: ModprobeConf}
	switch rdmaMode {
	case "shared":
		f.Content = header + "options ib_core netns_mode=1\n"
	case "exclusive":
		f.Content = header + "options ib_core netns_mode=0\n"
	}
	return f
}
