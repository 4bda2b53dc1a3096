package events

import "github.com/fleetfold/fleetfold/pkg/fleet"

// Channel says where events of a type travel.
type Channel int

// The channels. Only Log and Action events are history.
const (
	ChannelLog Channel = iota
	ChannelAction
	ChannelPresence
	ChannelCredential
	ChannelCommand
	ChannelRequest
)

// scope says what the CloudEvents subject of a type must be.
type scope int

const (
	scopeFleet  scope = iota // no subject
	scopeNode                // the node id
	scopeAction              // the node id when the action, pause or refusal concerns one
)

// Descriptor is one row of the registry.
type Descriptor struct {
	Type    Type
	Channel Channel
	// Schema is the value of the dataschema attribute.
	Schema string
	scope  scope
	fresh  func() Payload
	// tail is the subject after the prefix; nil means that the channel's
	// rule with the node token applies.
	tail func(*Event) string
}

func fixed(s string) func(*Event) string { return func(*Event) string { return s } }

func nodeFact(e *Event) string { return "events.node." + Token(e.Node) }

func outcomeOf(e *Event) string {
	var id fleet.ActionID
	switch d := e.Data.(type) {
	case *ActionSucceeded:
		id = d.Action
	case *ActionFailed:
		id = d.Action
	case *ActionRefused:
		id = d.Action
	}
	return "events.outcome." + string(id)
}

func actionTail(e *Event) string {
	if e.Node == "" {
		return "actions." + string(e.Type)
	}
	return "actions." + string(e.Type) + "." + Token(e.Node)
}

func presenceTail(e *Event) string { return "presence." + Token(e.Node) }
func commandTail(e *Event) string  { return "command." + Token(e.Node) }
func requestTail(e *Event) string  { return "request." + Token(e.Node) }

func payloadOf[T any, P interface {
	*T
	Payload
}]() Payload {
	return P(new(T))
}

// registry is the only list of event types. credential.proved stands under
// ChannelLog; on its way to the border a node publishes it on its credential
// subject.
var registry = []Descriptor{
	{Type: TypeInventoryApplied, Channel: ChannelLog, scope: scopeFleet, fresh: payloadOf[InventoryApplied], tail: fixed("events.inventory")},
	{Type: TypeTrustPublished, Channel: ChannelLog, scope: scopeFleet, fresh: payloadOf[TrustPublished], tail: fixed("events.trust")},
	{Type: TypeNodeAppeared, Channel: ChannelLog, scope: scopeNode, fresh: payloadOf[NodeAppeared], tail: nodeFact},
	{Type: TypeNodeLost, Channel: ChannelLog, scope: scopeNode, fresh: payloadOf[NodeLost], tail: nodeFact},
	{Type: TypeNodeLeft, Channel: ChannelLog, scope: scopeNode, fresh: payloadOf[NodeLeft], tail: nodeFact},
	{Type: TypeNodeRemoved, Channel: ChannelLog, scope: scopeNode, fresh: payloadOf[NodeRemoved], tail: nodeFact},
	{Type: TypeCredentialIssued, Channel: ChannelLog, scope: scopeNode, fresh: payloadOf[CredentialIssued], tail: nodeFact},
	{Type: TypeCredentialProved, Channel: ChannelLog, scope: scopeNode, fresh: payloadOf[CredentialProved], tail: nodeFact},
	{Type: TypeCredentialExpired, Channel: ChannelLog, scope: scopeNode, fresh: payloadOf[CredentialExpired], tail: nodeFact},
	{Type: TypeCredentialRevoked, Channel: ChannelLog, scope: scopeNode, fresh: payloadOf[CredentialRevoked], tail: nodeFact},
	{Type: TypeEnforcementEnabled, Channel: ChannelLog, scope: scopeFleet, fresh: payloadOf[EnforcementEnabled], tail: fixed("events.enforcement")},
	{Type: TypeEnforcementDisabled, Channel: ChannelLog, scope: scopeFleet, fresh: payloadOf[EnforcementDisabled], tail: fixed("events.enforcement")},
	{Type: TypePlanDecided, Channel: ChannelLog, scope: scopeFleet, fresh: payloadOf[PlanDecided], tail: planTail},
	{Type: TypeActionSucceeded, Channel: ChannelLog, scope: scopeAction, fresh: payloadOf[ActionSucceeded], tail: outcomeOf},
	{Type: TypeActionFailed, Channel: ChannelLog, scope: scopeAction, fresh: payloadOf[ActionFailed], tail: outcomeOf},
	{Type: TypeActionRefused, Channel: ChannelLog, scope: scopeAction, fresh: payloadOf[ActionRefused], tail: outcomeOf},
	{Type: TypePlanApproved, Channel: ChannelLog, scope: scopeFleet, fresh: payloadOf[PlanApproved], tail: fixed("events.control")},
	{Type: TypeControlPaused, Channel: ChannelLog, scope: scopeAction, fresh: payloadOf[ControlPaused], tail: fixed("events.control")},
	{Type: TypeControlResumed, Channel: ChannelLog, scope: scopeAction, fresh: payloadOf[ControlResumed], tail: fixed("events.control")},
	{Type: TypeNodeBundleReported, Channel: ChannelLog, scope: scopeNode, fresh: payloadOf[NodeBundleReported], tail: nodeFact},
	{Type: TypeTrustDelegated, Channel: ChannelLog, scope: scopeFleet, fresh: payloadOf[TrustDelegated], tail: fixed("events.trust")},
	{Type: TypeTrustRotationRequested, Channel: ChannelLog, scope: scopeFleet, fresh: payloadOf[TrustRotationRequested], tail: fixed("events.control")},
	{Type: TypeTrustRotationHeld, Channel: ChannelLog, scope: scopeFleet, fresh: payloadOf[TrustRotationHeld], tail: fixed("events.trust")},
	{Type: TypeTrustActivated, Channel: ChannelLog, scope: scopeFleet, fresh: payloadOf[TrustActivated], tail: fixed("events.trust")},
	{Type: TypeTrustRetired, Channel: ChannelLog, scope: scopeFleet, fresh: payloadOf[TrustRetired], tail: fixed("events.trust")},
	{Type: TypeMessageRefused, Channel: ChannelLog, scope: scopeAction, fresh: payloadOf[MessageRefused], tail: fixed("events.refusal")},
	{Type: TypeCheckpointSigned, Channel: ChannelLog, scope: scopeFleet, fresh: payloadOf[CheckpointSigned], tail: fixed("events.checkpoint")},

	{Type: TypeEnrollNode, Channel: ChannelAction, scope: scopeNode, fresh: payloadOf[ActionRequested], tail: actionTail},
	{Type: TypeIssueCredential, Channel: ChannelAction, scope: scopeNode, fresh: payloadOf[ActionRequested], tail: actionTail},
	{Type: TypeDecommissionNode, Channel: ChannelAction, scope: scopeNode, fresh: payloadOf[ActionRequested], tail: actionTail},
	{Type: TypeDisableStrictEnforcement, Channel: ChannelAction, scope: scopeFleet, fresh: payloadOf[ActionRequested], tail: actionTail},
	{Type: TypeEnableStrictEnforcement, Channel: ChannelAction, scope: scopeFleet, fresh: payloadOf[ActionRequested], tail: actionTail},

	{Type: TypeNodeHeartbeat, Channel: ChannelPresence, scope: scopeNode, fresh: payloadOf[Heartbeat], tail: presenceTail},
	{Type: TypeCertificateRequested, Channel: ChannelCommand, scope: scopeNode, fresh: payloadOf[CertificateRequested], tail: commandTail},
	{Type: TypeCredentialDelivered, Channel: ChannelCommand, scope: scopeNode, fresh: payloadOf[CredentialDelivered], tail: commandTail},
	{Type: TypeNodeStopRequested, Channel: ChannelCommand, scope: scopeNode, fresh: payloadOf[NodeStopRequested], tail: commandTail},
	{Type: TypeCommandAnswered, Channel: ChannelCommand, scope: scopeNode, fresh: payloadOf[CommandAnswered], tail: commandTail},

	{Type: TypeRotationRequested, Channel: ChannelLog, scope: scopeAction, fresh: payloadOf[RotationRequested], tail: fixed("events.control")},
	{Type: TypeRenewalRequested, Channel: ChannelRequest, scope: scopeNode, fresh: payloadOf[RenewalRequested], tail: requestTail},
	{Type: TypeCredentialConfirmed, Channel: ChannelCommand, scope: scopeNode, fresh: payloadOf[CredentialConfirmed], tail: commandTail},
	{Type: TypeCredentialRotationRequested, Channel: ChannelCommand, scope: scopeNode, fresh: payloadOf[CredentialRotationRequested], tail: commandTail},

	{Type: TypeRefusalReported, Channel: ChannelRequest, scope: scopeNode, fresh: payloadOf[RefusalReported], tail: requestTail},

	{Type: TypeRetryRequested, Channel: ChannelLog, scope: scopeAction, fresh: payloadOf[RetryRequested], tail: fixed("events.control")},
	{Type: TypePartitionApplied, Channel: ChannelLog, scope: scopeFleet, fresh: payloadOf[PartitionApplied], tail: fixed("events.partition")},
}

var byType = func() map[Type]*Descriptor {
	m := make(map[Type]*Descriptor, len(registry))
	for i := range registry {
		d := &registry[i]
		d.Schema = SchemaID(d.Type)
		m[d.Type] = d
	}
	return m
}()

// SchemaID is the identifier of the JSON Schema for the data of type t.
func SchemaID(t Type) string { return "urn:fleetfold:event:" + string(t) + ":v1" }

// Registry returns a copy of the list of all event types.
func Registry() []Descriptor { return append([]Descriptor(nil), registry...) }

// Describe returns the registry's row for t.
func Describe(t Type) (Descriptor, bool) {
	d, ok := byType[t]
	if !ok {
		return Descriptor{}, false
	}
	return *d, true
}

// TypeOfAction is the event type that asks for an action of type a.
func TypeOfAction(a fleet.ActionType) Type { return actionTypes[a] }

var actionTypes = map[fleet.ActionType]Type{
	fleet.EnrollNode:               TypeEnrollNode,
	fleet.IssueCredential:          TypeIssueCredential,
	fleet.DecommissionNode:         TypeDecommissionNode,
	fleet.DisableStrictEnforcement: TypeDisableStrictEnforcement,
	fleet.EnableStrictEnforcement:  TypeEnableStrictEnforcement,
}

// IsAction says whether t asks for an action.
func (t Type) IsAction() bool {
	d, ok := byType[t]
	return ok && d.Channel == ChannelAction
}

// IsOutcome says whether t is the terminal outcome of an action.
func (t Type) IsOutcome() bool {
	return t == TypeActionSucceeded || t == TypeActionFailed || t == TypeActionRefused
}
