// Package firmware decides which file an Agilio (driver nfp) should load as its
// application firmware, and where a link to it must be for the driver to take it.
//
// Flow: daemon/observe says what the disk offers and who the card is;
// daemon/plan asks Choose for the link, or for the reason why there can be none;
// daemon/apply makes the link and the drop-in for the initramfs.
//
// The rules are those of nfp_net_fw_find and nfp_fw_load in
// drivers/net/ethernet/netronome/nfp/nfp_main.c, and of the kernel's loader,
// drivers/base/firmware_loader/main.c.
//
// The package is pure and imports nothing of ours.
package firmware
