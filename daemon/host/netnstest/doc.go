// Package netnstest gives tests a network namespace of their own on the real
// kernel, as root or not.
//
// The package imports testing and is imported by tests only.
package netnstest
