// Package vm holds the tests on a real kernel: virtual machines under software
// emulation, with emulated igb cards (real SR-IOV, vfio with an IOMMU).
//
// lab fetches QEMU and a kernel as Debian packages into a cache, builds what the
// machine boots, and runs it: make test-vm. init is the first process of the
// machine. guest are the tests, built with the tag vm.
package vm
