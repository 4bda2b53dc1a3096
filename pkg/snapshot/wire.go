package snapshot

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// The wire types are the image's as arrays without names: short, quick, and in
// one order. A field more in any of them is another format.

type wireHeader struct {
	_                struct{} `cbor:",toarray"`
	Fold, Sequence   uint64
	Time             wireTime
	Subject, Message string
}

// wireTime counts from the year 1, so that the zero time is zero.
type wireTime struct {
	_       struct{} `cbor:",toarray"`
	Seconds int64
	Nanos   int64
}

type wireFleet struct {
	_                                                            struct{} `cbor:",toarray"`
	Sequence                                                     uint64
	StrictEnforced                                               bool
	Enforcement                                                  string
	InventoryDigest, InventoryActor, InventoryNote               string
	InventoryGeneration, InventorySequence                       uint64
	Trust                                                        wireTrust
	ApprovedTo                                                   uint64
	RemovalMin, BlindMin                                         int
	RemovalFraction, BlindFraction                               float64
	LostWait, FlapThreshold, FlapHalfLife                        float64
	MaxInFlight, StuckAfter                                      int
	BackoffBase, BackoffCap, Jitter                              float64
	LastPlan, LastEnforcement, LastInventory, LastTrust, PlanEnd uint64
	Ignored                                                      []wireIgnored
	Unfit                                                        int
	Sharing                                                      wireSharing
}

type wireIgnored struct {
	_     struct{} `cbor:",toarray"`
	Type  string
	Count int
}

type wirePause struct {
	_                              struct{} `cbor:",toarray"`
	Scope, Region, ID, Actor, Note string
	Since                          wireTime
}

type wireRotation struct {
	_                              struct{} `cbor:",toarray"`
	Scope, Region, ID, Actor, Note string
	Sequence                       uint64
	At                             wireTime
	RatePerSecond                  float64
}

type wireApproval struct {
	_               struct{} `cbor:",toarray"`
	ID, Actor, Note string
	Basis           uint64
}

type wireFlight struct {
	_                        struct{} `cbor:",toarray"`
	Type, Node, ID, Plan     string
	Sequence                 uint64
	Step, Steps, Attempt     int
	Epoch, Generation, Basis uint64
	At                       wireTime
	Shard                    string
}

// yearOne is the zero time in seconds of Unix.
var yearOne = time.Time{}.Unix()

func toTime(t time.Time) wireTime {
	return wireTime{Seconds: t.Unix() - yearOne, Nanos: int64(t.Nanosecond())}
}

func (t wireTime) time() time.Time {
	if t.Seconds == 0 && t.Nanos == 0 {
		return time.Time{}
	}
	return time.Unix(t.Seconds+yearOne, t.Nanos).UTC()
}

func toFleet(img *projection.Image) wireFleet {
	g, p, inv := img.Safeguards, img.Policy, img.Inventory
	f := wireFleet{
		Sequence: img.Sequence, StrictEnforced: img.StrictEnforced, Enforcement: string(img.Enforcement),
		InventoryDigest: inv.Digest, InventoryActor: inv.Actor, InventoryNote: inv.Note,
		InventoryGeneration: inv.Generation, InventorySequence: inv.Sequence,
		Trust: toTrust(img), ApprovedTo: img.ApprovedTo,
		RemovalMin: g.RemovalMin, BlindMin: g.BlindMin, RemovalFraction: g.RemovalFraction, BlindFraction: g.BlindFraction,
		LostWait: g.LostWaitSeconds, FlapThreshold: g.FlapThreshold, FlapHalfLife: g.FlapHalfLifeSeconds,
		MaxInFlight: p.MaxInFlight, StuckAfter: p.StuckAfter,
		BackoffBase: p.BackoffBaseSeconds, BackoffCap: p.BackoffCapSeconds, Jitter: p.Jitter,
		LastPlan: img.LastPlan, LastEnforcement: img.LastEnforcement, LastInventory: img.LastInventory, LastTrust: img.LastTrust,
		PlanEnd: img.PlanEnd, Unfit: img.Unfit, Sharing: toSharing(&img.Sharing),
	}
	for _, n := range img.Ignored {
		f.Ignored = append(f.Ignored, wireIgnored{Type: n.Type, Count: n.Count})
	}
	return f
}

func (f *wireFleet) into(img *projection.Image) {
	img.Sequence, img.StrictEnforced, img.Enforcement = f.Sequence, f.StrictEnforced, fleet.ActionID(f.Enforcement)
	img.Inventory = projection.InventoryRef{
		Digest: f.InventoryDigest, Generation: f.InventoryGeneration, Sequence: f.InventorySequence,
		Actor: f.InventoryActor, Note: f.InventoryNote,
	}
	f.Trust.into(img)
	img.ApprovedTo = f.ApprovedTo
	img.Safeguards = events.HoldSafeguards{
		RemovalMin: f.RemovalMin, RemovalFraction: f.RemovalFraction, BlindFraction: f.BlindFraction, BlindMin: f.BlindMin,
		LostWaitSeconds: f.LostWait, FlapThreshold: f.FlapThreshold, FlapHalfLifeSeconds: f.FlapHalfLife,
	}
	img.Policy = events.DispatchPolicy{
		MaxInFlight: f.MaxInFlight, StuckAfter: f.StuckAfter,
		BackoffBaseSeconds: f.BackoffBase, BackoffCapSeconds: f.BackoffCap, Jitter: f.Jitter,
	}
	img.LastPlan, img.LastEnforcement, img.LastInventory, img.LastTrust = f.LastPlan, f.LastEnforcement, f.LastInventory, f.LastTrust
	img.PlanEnd, img.Unfit = f.PlanEnd, f.Unfit
	f.Sharing.into(&img.Sharing)
	for _, n := range f.Ignored {
		img.Ignored = append(img.Ignored, projection.IgnoredCount{Type: n.Type, Count: n.Count})
	}
}

func toPause(p fleet.Pause) wirePause {
	return wirePause{Scope: string(p.Scope), Region: p.Region, ID: string(p.ID), Actor: p.Actor, Note: p.Note, Since: toTime(p.Since)}
}

func (p *wirePause) pause() fleet.Pause {
	return fleet.Pause{
		Target: fleet.Target{Scope: fleet.Scope(p.Scope), Region: p.Region, ID: fleet.NodeID(p.ID)},
		Actor:  p.Actor, Note: p.Note, Since: p.Since.time(),
	}
}

func toApproval(a projection.Approval) wireApproval {
	return wireApproval{ID: string(a.ID), Actor: a.Actor, Note: a.Note, Basis: a.Basis}
}

func (a *wireApproval) approval() projection.Approval {
	return projection.Approval{ID: fleet.ApprovalID(a.ID), Basis: a.Basis, Actor: a.Actor, Note: a.Note}
}

func toRotation(r projection.Rotation) wireRotation {
	return wireRotation{
		Scope: string(r.Scope), Region: r.Region, ID: string(r.ID), Actor: r.Actor, Note: r.Note,
		Sequence: r.Sequence, At: toTime(r.At), RatePerSecond: r.RatePerSecond,
	}
}

func (r *wireRotation) rotation() projection.Rotation {
	return projection.Rotation{
		Target:   fleet.Target{Scope: fleet.Scope(r.Scope), Region: r.Region, ID: fleet.NodeID(r.ID)},
		Sequence: r.Sequence, At: r.At.time(), RatePerSecond: r.RatePerSecond, Actor: r.Actor, Note: r.Note,
	}
}

func toFlight(f projection.Flight) wireFlight {
	return wireFlight{
		Type: string(f.Action.Type), Node: string(f.Action.ID), ID: string(f.ID), Plan: string(f.Plan), Sequence: f.Sequence,
		Step: f.Step, Steps: f.Steps, Attempt: f.Attempt, Epoch: f.Epoch, Generation: f.Generation, Basis: f.Basis, At: toTime(f.At), Shard: f.Shard,
	}
}

func (f *wireFlight) flight() projection.Flight {
	return projection.Flight{
		Action: fleet.Action{Type: fleet.ActionType(f.Type), ID: fleet.NodeID(f.Node)}, ID: fleet.ActionID(f.ID), Plan: fleet.PlanID(f.Plan),
		Sequence: f.Sequence, Step: f.Step, Steps: f.Steps, Attempt: f.Attempt, Epoch: f.Epoch, Generation: f.Generation,
		Basis: f.Basis, At: f.At.time(), Shard: f.Shard,
	}
}
