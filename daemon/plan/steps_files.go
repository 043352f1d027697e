package plan

import "fmt"

// PutHostFile writes a file of ours on the host and tells those who read it. It
// is of the node as a whole: its Device is empty.
type PutHostFile struct {
	// Path below the root of the host.
	Path    string
	Content string
}

// RemoveHostFile removes a file of ours from the host, the folders that were made
// for it, and tells those who read it.
type RemoveHostFile struct {
	// Path below the root of the host.
	Path string
}

// Kind implements Step.
func (PutHostFile) Kind() string { return "PutHostFile" }

// Kind implements Step.
func (RemoveHostFile) Kind() string { return "RemoveHostFile" }

// Device implements Step.
func (PutHostFile) Device() string { return wholeNode }

// Device implements Step.
func (RemoveHostFile) Device() string { return wholeNode }

func (PutHostFile) touches() touched    { return touched{} }
func (RemoveHostFile) touches() touched { return touched{} }

// String names the file as the host has it.
func (s PutHostFile) String() string { return fmt.Sprintf("write /%s", s.Path) }

// String names the file as the host has it.
func (s RemoveHostFile) String() string { return fmt.Sprintf("remove /%s", s.Path) }
