package agent

import (
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// bound keeps a status within the limits of its schema, beyond which the API
// server would refuse all of it. What a sound host says is far below them.
func bound(s *sriovv1.SriovNetworkNodeStateStatus) {
	s.Interfaces = first(s.Interfaces, sriovv1.MaxInterfaces)
	s.Bonds = first(s.Bonds, sriovv1.MaxBonds)
	if s.Plan != nil {
		s.Plan.AffectedPods = first(s.Plan.AffectedPods, sriovv1.MaxAffectedPods)
	}
	for i := range s.Interfaces {
		boundInterface(&s.Interfaces[i])
	}
}

func boundInterface(nic *sriovv1.InterfaceStatus) {
	nic.Name = sriovv1.Clip(nic.Name, sriovv1.MaxNameLength)
	for _, text := range []*string{&nic.Driver, &nic.Mac, &nic.LinkSpeed, &nic.EswitchMode, &nic.SwitchdevOrder, &nic.FlowSteeringMode, &nic.FirmwareApp} {
		*text = sriovv1.Clip(*text, maxWord)
	}
	for _, text := range []*string{&nic.SwitchID, &nic.FirmwareVersion, &nic.BoardID} {
		*text = sriovv1.Clip(*text, maxIdentity)
	}
	nic.AltNames = slices.Clone(first(nic.AltNames, sriovv1.MaxAltNames))
	for i := range nic.AltNames {
		nic.AltNames[i] = sriovv1.Clip(nic.AltNames[i], sriovv1.MaxAltNameLength)
	}
	nic.Ports = slices.Clone(first(nic.Ports, sriovv1.MaxPorts))
	for i := range nic.Ports {
		boundPort(&nic.Ports[i])
	}
	nic.Notes = slices.Clone(first(nic.Notes, sriovv1.MaxNotes))
	for i := range nic.Notes {
		nic.Notes[i] = sriovv1.Clip(nic.Notes[i], sriovv1.MaxNoteLength)
	}
	nic.Blockers = boundBlockers(nic.Blockers)
	nic.Warnings = boundBlockers(nic.Warnings)
	nic.VFs = first(nic.VFs, sriovv1.MaxVFs)
}

func boundBlockers(all []sriovv1.Blocker) []sriovv1.Blocker {
	all = first(all, sriovv1.MaxBlockers)
	for i := range all {
		all[i].Message = sriovv1.Clip(all[i].Message, sriovv1.MaxMessageLength)
		all[i].Remedy = sriovv1.Clip(all[i].Remedy, sriovv1.MaxMessageLength)
	}
	return all
}

func boundPort(port *sriovv1.PortStatus) {
	port.Name = sriovv1.Clip(port.Name, sriovv1.MaxNameLength)
	for _, text := range []*string{&port.PortName, &port.Mac, &port.LinkSpeed} {
		*text = sriovv1.Clip(*text, maxWord)
	}
	port.AltNames = slices.Clone(first(port.AltNames, sriovv1.MaxAltNames))
	for i := range port.AltNames {
		port.AltNames[i] = sriovv1.Clip(port.AltNames[i], sriovv1.MaxAltNameLength)
	}
}

// Lengths of the status's words and identities, the smallest of their kind in
// the schema.
const (
	maxWord     = 64
	maxIdentity = 128
)

// first returns at most n elements.
func first[T any](all []T, n int) []T { return all[:min(len(all), n)] }
