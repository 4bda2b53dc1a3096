package handlers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func TestACredentialIsIssuedDeliveredAndProved(t *testing.T) {
	story(t, func(s *shop) {
		s.want(false, "a")
		s.agent("a")
		s.appear("a")
		s.open()
		s.publish("i1", issue("a"))
		s.check("appeared, published, issued, proved, succeeded")
		s.view.Read(func(st *projection.State) {
			node, _ := st.Node("a")
			if !st.CanSign("a") {
				t.Fatal("the node cannot sign")
			}
			issued, err := eventlog.IssuedAt(t.Context(), s.log, node.Proved.Sequence)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := identity.VerifyLeaf([]byte(issued.CertificatePEM), st.Trust(), "fleet.example", "a", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if time.Until(leaf.NotAfter) > time.Hour || node.Proved.KeyFingerprint != node.KeyFingerprint {
				t.Errorf("certificate until %s of key %s", leaf.NotAfter, node.Proved.KeyFingerprint)
			}
		})
		if want := "certificate.requested credential.delivered"; s.commanded() != want {
			t.Errorf("commands %s", s.commanded())
		}
	})
}

func TestTheRootIsPublishedOnce(t *testing.T) {
	story(t, func(s *shop) {
		s.want(false, "a")
		s.open()
		s.open()
		s.check("published")
		s.view.Read(func(st *projection.State) {
			if len(st.Trust()) != 1 {
				t.Errorf("%d roots", len(st.Trust()))
			}
		})
	})
}

func TestIssuingGoesOnWhileTheAgentIsNotReady(t *testing.T) {
	story(t, func(s *shop) {
		s.want(false, "a")
		s.appear("a")
		s.open()
		s.publish("i1", issue("a"))
		time.Sleep(1200 * time.Millisecond) // fake time
		s.agent("a", deaf(2))
		time.Sleep(10 * time.Second) // fake time
		synctest.Wait()
		if got := strings.Count(s.commanded(), "credential.delivered"); got != 3 {
			t.Errorf("delivered %d times: %s", got, s.commanded())
		}
		s.check("appeared, published, issued, proved, succeeded")
	})
}

func TestAnIssueThatCannotBeSaysWhy(t *testing.T) {
	refuse := func(kind events.Type, a events.CommandAnswered) func(*played) {
		return func(p *played) {
			p.answer = func(e *events.Event) (*events.CommandAnswered, error) {
				if e.Type == kind {
					return &a, nil
				}
				return nil, nil
			}
		}
	}
	for name, c := range map[string]struct {
		manners func(*played)
		want    string
	}{
		"the node never proves": {deaf(1000),
			"appeared, published, issued, failed (deadline_exceeded: the node did not prove its credential within 30s)"},
		"the agent never answers": {func(p *played) {
			p.answer = func(*events.Event) (*events.CommandAnswered, error) { return nil, errors.New("timeout") }
		}, "appeared, published, failed (deadline_exceeded: the agent did not answer certificate.requested within 30s)"},
		"the agent makes no request": {refuse(events.TypeCertificateRequested, events.CommandAnswered{Error: "no key"}),
			"appeared, published, failed (agent_refused: the agent made no certificate request: no key)"},
		"the agent takes no credential": {refuse(events.TypeCredentialDelivered, events.CommandAnswered{Error: "disk full"}),
			"appeared, published, issued, failed (agent_refused: the agent did not take its credential: disk full)"},
		"the agent has no evidence": {func(p *played) { p.dir = "nowhere" },
			"appeared, published, failed (attestation_missing: the agent gave no mtls-cert evidence"},
		"the request is nonsense": {refuse(events.TypeCertificateRequested, events.CommandAnswered{CSRPEM: "x"}),
			"appeared, published, failed (" + string(identity.CSRUnparsable) + ": "},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(s *shop) {
				s.want(false, "a")
				s.agent("a", c.manners)
				s.appear("a")
				s.open()
				s.publish("i1", issue("a"))
				time.Sleep(31 * time.Second) // fake time
				synctest.Wait()
				if got := s.history(); !strings.HasPrefix(got, c.want) {
					t.Errorf("log:  %s\nwant: %s", got, c.want)
				}
			})
		})
	}
}

func TestANodeThatIsRemovedMeanwhileEndsTheIssue(t *testing.T) {
	story(t, func(s *shop) {
		s.want(false, "a")
		s.agent("a", deaf(1000))
		s.appear("a")
		s.open()
		s.publish("i1", issue("a"))
		s.append(events.TypeNodeRemoved, "a", &events.NodeRemoved{Epoch: 1, Action: "x"})
		s.check("appeared, published, issued, removed, failed (node_replaced: the node was removed while its proof was awaited)")
	})
}

// staged is a Driver that a story holds the strings of.
type staged struct {
	start  func(fleet.NodeID) (<-chan error, error)
	remove func(fleet.NodeID) error
}

func (d staged) Start(_ context.Context, id fleet.NodeID) (<-chan error, error) { return d.start(id) }
func (d staged) Remove(_ context.Context, id fleet.NodeID) error                { return d.remove(id) }

func TestAnEnrolmentBringsTheNodeUpAndMakesItSign(t *testing.T) {
	story(t, func(s *shop) {
		s.want(false, "a")
		s.config.Driver = staged{start: func(id fleet.NodeID) (<-chan error, error) {
			s.agent(id)
			s.append(events.TypeNodeAppeared, id, &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: s.fingerprint(id)})
			return nil, nil
		}}
		s.open()
		s.publish("e1", enroll("a"))
		s.check("published, appeared, issued, proved, succeeded")
	})
}

func TestANodeThatComesBackWithItsCredentialNeedsNoNewOne(t *testing.T) {
	story(t, func(s *shop) {
		s.want(false, "a")
		s.agent("a")
		s.appear("a")
		s.open()
		s.publish("i1", issue("a"))
		s.append(events.TypeNodeLost, "a", &events.NodeLost{Epoch: 1, Reason: "lease_expired"})
		s.publish("e1", enroll("a"))
		s.appear("a")
		s.check("appeared, published, issued, proved, succeeded, lost, appeared, succeeded")
	})
}

func TestAnEnrolmentThatCannotBeSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		driver handlers.Driver
		want   string
	}{
		"nobody brings the node up": {handlers.Wait{}, "published, failed (deadline_exceeded: node did not appear within 1m0s)"},
		"the agent does not start": {staged{start: func(fleet.NodeID) (<-chan error, error) { return nil, errors.New("no such file") }},
			"published, failed (driver_error: start agent: no such file)"},
		"the agent ends at once": {staged{start: func(fleet.NodeID) (<-chan error, error) {
			gone := make(chan error, 1)
			gone <- errors.New("exit status 3")
			return gone, nil
		}}, "published, failed (agent_exited: the agent ended before the node appeared: exit status 3)"},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(s *shop) {
				s.want(false, "a")
				s.config.Driver = c.driver
				s.open()
				s.publish("e1", enroll("a"))
				time.Sleep(61 * time.Second) // fake time
				s.check(c.want)
			})
		})
	}
}

func TestADecommissionEndsCredentialAndEpochTogether(t *testing.T) {
	story(t, func(s *shop) {
		removed := ""
		s.config.Driver = staged{remove: func(id fleet.NodeID) error { removed = string(id); return nil }}
		s.want(false, "a")
		s.agent("a")
		s.appear("a")
		s.open()
		s.publish("i1", issue("a"))
		s.want(false, keeper)
		s.keep()
		s.publish("d1", remove("a"))
		s.check("appeared, published, issued, proved, succeeded, left, revoked, removed, succeeded")
		if removed != "a" {
			t.Errorf("driver removed %q", removed)
		}
		s.view.Read(func(st *projection.State) {
			if _, ok := st.Node("a"); ok {
				t.Error("the node is still observed")
			}
		})
	})
}

func TestADecommissionDoesNotNeedTheAgent(t *testing.T) {
	for name, c := range map[string]struct {
		manners func(*shop)
		takes   time.Duration
	}{
		"nobody listens":               {func(*shop) {}, 0},
		"the agent says yes and stays": {func(s *shop) { s.agent("a", always(events.CommandAnswered{})) }, 15 * time.Second},
		"the agent says no":            {func(s *shop) { s.agent("a", always(events.CommandAnswered{Error: "busy"})) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(s *shop) {
				s.want(false, keeper)
				s.keep()
				c.manners(s)
				s.appear("a")
				s.open()
				began := time.Now()
				s.publish("d1", remove("a"))
				if err := s.view.Wait(s.ctx, func(st *projection.State) bool { return st.Ledger().Outstanding() == 0 }); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != c.takes {
					t.Errorf("took %s, want %s", took, c.takes)
				}
				s.check("appeared, published, removed, succeeded")
			})
		})
	}
}

// forgetful are the tokens of the nodes that have shown one.
type forgetful func(fleet.NodeID) error

func (f forgetful) Forget(_ context.Context, id fleet.NodeID) error { return f(id) }

// What let a node in once must not let it in again: where that cannot be made
// sure of, the node is not removed, and it is tried again.
func TestADecommissionForgetsWhatLetTheNodeIn(t *testing.T) {
	story(t, func(s *shop) {
		var forgotten []fleet.NodeID
		s.config.Tokens = forgetful(func(id fleet.NodeID) error {
			if forgotten = append(forgotten, id); len(forgotten) == 1 {
				return errors.New("the bus is away")
			}
			return nil
		})
		s.want(false, keeper)
		s.keep()
		s.appear("a")
		s.open()
		s.publish("d1", remove("a"))
		s.check("appeared, published, failed (tokens_not_forgotten: forget join tokens: the bus is away)")
		s.want(false, keeper, "c") // another inventory: another attempt
		s.publish("d2", remove("a"))
		s.check("appeared, published, failed (tokens_not_forgotten: forget join tokens: the bus is away), removed, succeeded")
		if len(forgotten) != 2 || forgotten[0] != "a" || forgotten[1] != "a" {
			t.Errorf("forgotten were %v", forgotten)
		}
	})
}

func TestADecommissionThatLosesARaceIsDecidedAgain(t *testing.T) {
	story(t, func(s *shop) {
		times := 0
		s.config.Driver = staged{remove: func(id fleet.NodeID) error {
			if times++; times == 1 {
				s.append(events.TypeNodeLost, id, &events.NodeLost{Epoch: 1, Reason: "lease_expired"})
			}
			return nil
		}}
		s.want(false, keeper)
		s.keep()
		s.appear("a")
		s.open()
		s.publish("d1", remove("a"))
		s.check("appeared, published, lost, removed, succeeded")
	})
}

func TestEnforcementFollowsTheInventory(t *testing.T) {
	story(t, func(s *shop) {
		s.want(true)
		s.open()
		s.publish("on", fleet.Action{Type: fleet.EnableStrictEnforcement})
		s.want(false)
		s.publish("off", fleet.Action{Type: fleet.DisableStrictEnforcement})
		s.check("published, enabled, succeeded, disabled, succeeded")
	})
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	if _, err := handlers.New(t.Context(), handlers.Config{}); err == nil {
		t.Error("an empty configuration was accepted")
	}
	story(t, func(s *shop) {
		s.config.StopTimeout = -1
		if _, err := handlers.New(s.ctx, s.config); err == nil {
			t.Error("a negative timeout was accepted")
		}
	})
}
