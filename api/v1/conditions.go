package v1

// Condition types. Ready, Reconciling and Stalled follow kstatus: Stalled=True
// is a failure that needs a person, Reconciling=True is work in progress.
const (
	// ConditionReady is true when what the object asks for was read back from
	// where it takes effect.
	ConditionReady = "Ready"
	// ConditionReconciling is true while the controller or daemon works on the
	// object or waits for something that will come by itself.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is true when no progress is possible without a change by
	// a person; the message says which.
	ConditionStalled = "Stalled"
	// ConditionConflicted is true on a policy that lost a value to a stronger one.
	ConditionConflicted = "Conflicted"
	// ConditionOffloadReady is true on a node state when every PF that should be
	// in switchdev mode is, with hw-tc-offload on the uplink and on every
	// representor, and every bond is there with its ports and is not known not to
	// be offloaded.
	ConditionOffloadReady = "OffloadReady"
	// ConditionBootReady is true on a node state when the node is prepared for its
	// next boot as configurationMode says, and the last boot went well.
	ConditionBootReady = "BootReady"
	// ConditionDrained is true on a node state when nothing that the published
	// disruptive plan would take away is in use any more, or when the administrator
	// wants no drain. It is about the plan that status.drain.planHash names, and the
	// daemon goes on only if that is the plan that it has now. Written by the manager.
	ConditionDrained = "Drained"
)

// Reasons of the condition Drained of node states, written by the manager.
const (
	// ReasonDrainNotNeeded: there is no disruptive plan.
	ReasonDrainNotNeeded = "DrainNotNeeded"
	// ReasonDrained: the node is cordoned, and the affected pods have left.
	ReasonDrained = "DrainComplete"
	// ReasonDrainDisabled: SriovOperatorConfig.spec.disableDrain lets the plan run
	// without moving pods away.
	ReasonDrainDisabled = "DrainDisabled"
	// ReasonWaitingForApproval: the pool's approval is Manual, and nobody approved
	// this plan yet.
	ReasonWaitingForApproval = "WaitingForApproval"
	// ReasonWaitingForSlot: as many nodes of the pool as may be unavailable are.
	ReasonWaitingForSlot = "WaitingForSlot"
	// ReasonDraining: pods are being evicted, or are ending.
	ReasonDraining = "Draining"
	// ReasonDrainBlocked: a pod cannot be evicted; the message names it and its
	// PodDisruptionBudget.
	ReasonDrainBlocked = "DrainBlocked"
	// ReasonDeadlineExceeded: the drain took longer than the pool allows; the node
	// was given back.
	ReasonDeadlineExceeded = "DrainDeadlineExceeded"
	// ReasonExternalDrain: another drainer is asked to drain the node.
	ReasonExternalDrain = "ExternalDrain"
)

// Reasons of conditions of node states, written by the daemon.
const (
	// ReasonConverged: what was read back equals the spec.
	ReasonConverged = "Converged"
	// ReasonNotComputed: spec.computedFrom is empty, so the daemon only observes.
	ReasonNotComputed = "NotComputed"
	// ReasonApplying: the published plan is being carried out.
	ReasonApplying = "Applying"
	// ReasonDrainRequired: the plan would take VFs from running pods and is held.
	ReasonDrainRequired = "DrainRequired"
	// ReasonRebooting: the node is drained, and was asked to restart.
	ReasonRebooting = "Rebooting"
	// ReasonBlocked: a fact on the host forbids part of the plan; see blockers.
	ReasonBlocked = "Blocked"
	// ReasonApplyFailed: a step failed; the message has the kernel's words.
	ReasonApplyFailed = "ApplyFailed"
	// ReasonConnectivityLost: the node lost a connection by a change that could not
	// be taken back yet; the message says which and why.
	ReasonConnectivityLost = "ConnectivityLost"
	// ReasonObserveFailed: the host could not be read.
	ReasonObserveFailed = "ObserveFailed"
	// ReasonNotConverged: the plan was carried out without an error, yet reading
	// back still shows a difference.
	ReasonNotConverged = "NotConverged"
	// ReasonNoSwitchdev: no PF of the spec asks for switchdev.
	ReasonNoSwitchdev = "NoSwitchdevRequested"
	// ReasonOffloadIncomplete: a PF that should offload does not yet.
	ReasonOffloadIncomplete = "OffloadIncomplete"
	// ReasonOffloadReady: hardware offload is possible on every requested PF.
	ReasonOffloadReady = "OffloadReady"
	// ReasonUnknown: not known yet.
	ReasonUnknown = "Unknown"
)

// Reasons of the condition BootReady of node states, written by the daemon.
const (
	// ReasonDaemonMode: nothing is installed for the boot; the daemon configures the
	// node when it starts.
	ReasonDaemonMode = "DaemonMode"
	// ReasonBootInstalled: the units are installed and enabled, and what they need
	// to know is on the node.
	ReasonBootInstalled = "BootInstalled"
	// ReasonNoSystemd: systemd mode is asked for, and the node does not run systemd.
	ReasonNoSystemd = "NoSystemd"
	// ReasonBootInstallFailed: units, program or state for the boot could not be
	// written, or removed; the message has the machine's words.
	ReasonBootInstallFailed = "BootInstallFailed"
	// ReasonBootFailed: a unit failed at this boot, or left no result. What it did
	// not do, the daemon has done or reports in Ready.
	ReasonBootFailed = "BootFailed"
)

// Reasons of conditions of policies, written by the manager.
const (
	// ReasonAllNodesReady: every matched node reports Ready.
	ReasonAllNodesReady = "AllNodesReady"
	// ReasonNodesPending: some matched nodes are still at work.
	ReasonNodesPending = "NodesPending"
	// ReasonNodesStalled: some matched nodes need a person.
	ReasonNodesStalled = "NodesStalled"
	// ReasonNoNodeSelected: no node has the labels of nodeSelector.
	ReasonNoNodeSelected = "NoNodeSelected"
	// ReasonNoMatchingNIC: nodes are selected, but none has a NIC that matches.
	ReasonNoMatchingNIC = "NoMatchingNIC"
	// ReasonIgnored: the policy is named "default" or asks for zero VFs.
	ReasonIgnored = "Ignored"
	// ReasonConflict: a stronger policy sets something else; see status.conflicts.
	ReasonConflict = "Conflict"
	// ReasonNoConflict: nothing was lost to another policy.
	ReasonNoConflict = "NoConflict"
	// ReasonInvalid: the object cannot be used as written.
	ReasonInvalid = "Invalid"
)

// Reasons of conditions of pools, written by the manager.
const (
	// ReasonAccepted: the pool is in force on its nodes.
	ReasonAccepted = "Accepted"
	// ReasonPoolsOverlap: a node is in two pools, which changes nothing on it
	// until only one of them selects it.
	ReasonPoolsOverlap = "PoolsOverlap"
)

// Reasons of conditions of networks, written by the manager. A network that
// cannot be used as written has ReasonInvalid.
const (
	// ReasonAttached: the NetworkAttachmentDefinition, and for an OffloadNetwork
	// everything else that its pods need, is in place.
	ReasonAttached = "Attached"
	// ReasonNamespaceNotFound: the namespace of the NetworkAttachmentDefinition
	// does not exist, or is being deleted. It is picked up when it appears.
	ReasonNamespaceNotFound = "NamespaceNotFound"
	// ReasonDefinitionUnknown: the cluster has no NetworkAttachmentDefinitions,
	// since Multus is not installed. They are picked up when they appear.
	ReasonDefinitionUnknown = "NetworkAttachmentDefinitionUnknown"
	// ReasonChecksPending: what a check of an OffloadNetwork looks for is not
	// there yet; see status.checks.
	ReasonChecksPending = "ChecksPending"
	// ReasonChecksFailed: a check of an OffloadNetwork failed, so its pods would
	// not start or not be offloaded; see status.checks.
	ReasonChecksFailed = "ChecksFailed"
)

// Names of labels, annotations and objects that more than one component uses.
const (
	// LabelDevicePlugin on a node tells whether the device plugin should run there.
	LabelDevicePlugin = "sriovnetwork.openshift.io/device-plugin"
	// DevicePluginEnabled and DevicePluginDisabled are its values.
	DevicePluginEnabled  = "Enabled"
	DevicePluginDisabled = "Disabled"
	// AnnotationApprovedPlan on a node state is the hash of the plan that a person
	// approved, where the pool's approval is Manual.
	AnnotationApprovedPlan = "sriovnetwork.openshift.io/approved-plan"
	// AnnotationDrain on a node is there while the node holds a slot of its pool: it is
	// being drained or drained. The value is the hash of the plan that it got the slot for.
	AnnotationDrain = "sriovnetwork.openshift.io/drain"
	// AnnotationDrainCordoned on a node that is being drained tells that we cordoned it,
	// so that nobody else's cordon is ever taken back.
	AnnotationDrainCordoned = "sriovnetwork.openshift.io/drain-cordoned"
	// TaintDrain, with the effect NoSchedule, is on a node while it is being drained: pods of
	// DaemonSets, which a cordon does not keep away, would be back at once with a VF each.
	TaintDrain = "sriovnetwork.openshift.io/drain"
	// AnnotationExternalDrainer on a node state, with the value "true", leaves the draining of
	// the node to another drainer, which is asked by the annotations below. They are
	// those of sriov-network-operator, for which such drainers exist.
	AnnotationExternalDrainer = "sriovnetwork.openshift.io/use-external-drainer"
	// AnnotationDrainRequest on a node, and AnnotationDrainDesired on its node state,
	// say what is asked of another drainer: ExternalDrainRequired, ExternalRebootRequired
	// or ExternalDrainIdle.
	AnnotationDrainRequest = "sriovnetwork.openshift.io/state"
	AnnotationDrainDesired = "sriovnetwork.openshift.io/desired-state"
	// AnnotationDrainCurrent on a node state is the other drainer's answer:
	// ExternalDrainIdle, ExternalDraining or ExternalDrainComplete.
	AnnotationDrainCurrent = "sriovnetwork.openshift.io/current-state"
	// The values of these annotations.
	ExternalDrainIdle      = "Idle"
	ExternalDrainRequired  = "Drain_Required"
	ExternalRebootRequired = "Reboot_Required"
	ExternalDraining       = "Draining"
	ExternalDrainComplete  = "DrainComplete"
	// LabelCapable marks a node with an SR-IOV capable PF, as node-feature-discovery does.
	LabelCapable = "feature.node.kubernetes.io/network-sriov.capable"
	// LabelInjectResources on a namespace, with the value "true", has pods of the
	// namespace get the resource requests that their network annotations ask for.
	LabelInjectResources = "sriovnetwork.openshift.io/inject-resources"
	// AnnotationNetworkOwner on an object made for a network names the network:
	// KIND.sriovnetwork.openshift.io/NAMESPACE/NAME.
	AnnotationNetworkOwner = "sriovnetwork.openshift.io/owner-ref"
	// AnnotationResourceName on a NetworkAttachmentDefinition is the resource
	// whose devices Multus hands to the CNI plugins.
	AnnotationResourceName = "k8s.v1.cni.cncf.io/resourceName"
	// NetworkFinalizer on a network is set while something made for it cannot
	// name it as its owner: a NetworkAttachmentDefinition in another namespace,
	// or an object without a namespace.
	NetworkFinalizer = "netattdef.finalizers.sriovnetwork.openshift.io"
	// AnnotationKeepUntil on a node state is the time (RFC 3339) until which the
	// state of a node that left is kept, in case that the node comes back.
	AnnotationKeepUntil = "sriovnetwork.openshift.io/keep-state-until"
	// DefaultPolicyName is the name of a policy that has been ignored since the
	// first release of the API.
	DefaultPolicyName = "default"
	// DefaultConfigName is the name of the one SriovOperatorConfig.
	DefaultConfigName = "default"
	// DefaultResourcePrefix is the resource prefix when nobody sets one.
	DefaultResourcePrefix = "openshift.io"
	// DefaultPriority is the priority of a policy that sets none; lower wins.
	DefaultPriority = 99
)
