package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"golang.org/x/mod/semver"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// ServiceKind is what a service of the fleet does.
type ServiceKind string

// The kinds of services that announce themselves.
const (
	PlannerService  ServiceKind = "planner"
	ExecutorService ServiceKind = "executor"
)

// ServiceKinds lists them in the order of Services.
var ServiceKinds = [...]ServiceKind{PlannerService, ExecutorService}

// name is what tools such as "nats micro ls" list the service as.
func (k ServiceKind) name() string { return "fleetfold-" + string(k) }

// ServiceReport is how a service is at this moment.
type ServiceReport struct {
	// Sequence of the log it has folded up to; CaughtUp says that this was the
	// end of the log at some time since it started.
	Sequence uint64 `json:"sequence"`
	CaughtUp bool   `json:"caught_up"`
	// Plans that a planner has published since it started.
	Plans uint64 `json:"plans_published"`
	// Running is how many actions an executor is carrying out.
	Running int `json:"running"`
	// Fleet is what a planner found when it last decided; nil from an executor, and
	// from a planner that has not decided yet.
	Fleet *FleetReport `json:"fleet,omitempty"`
}

// FleetReport is a fleet in numbers, as one decision found it.
type FleetReport struct {
	// Sequence of the fold that was decided on.
	Sequence uint64 `json:"sequence"`
	// Digest and Generation of the inventory in force there.
	Digest     string `json:"inventory_digest"`
	Generation uint64 `json:"generation"`
	// Observed nodes, and how many of these are present and can sign.
	Observed int `json:"observed"`
	Present  int `json:"present"`
	Signing  int `json:"signing"`
	// Strict says that enforcement is on.
	Strict bool `json:"strict_enforced"`
	// Wanted counts the actions of the plan, Held those that something holds, by
	// reason, and Stuck those that keep failing.
	Wanted int                  `json:"wanted"`
	Held   map[fleet.Reason]int `json:"held"`
	Stuck  int                  `json:"stuck"`
	// InFlight counts the actions without an outcome.
	InFlight int `json:"in_flight"`
	// Converged: nothing is wanted, and nothing in flight.
	Converged bool `json:"converged"`
}

// Service is one that answered, by its own word.
type Service struct {
	Kind ServiceKind `json:"kind"`
	// ID is new with each start.
	ID      string    `json:"id"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Since   time.Time `json:"since"`
	ServiceReport
}

// The metadata of a service.
const (
	metaPrefix  = "prefix" // of the fleet's subjects
	metaHost    = "host"
	metaPID     = "pid"
	metaVersion = "version"
	metaStarted = "started" // RFC 3339, UTC
)

// Announce answers whoever asks for the fleet's services, by the protocol of
// NATS micro services: Bus.Services, "nats micro", and requests on
// <prefix>.service.<kind>, which one service of the kind answers with its
// report. report is called for each answer, from any goroutine.
//
// Nothing depends on it: who is announced leads nobody and holds nothing. stop
// must be called before the bus is closed.
func (b *Bus) Announce(kind ServiceKind, version string, report func() ServiceReport) (stop func(), err error) {
	s, err := micro.AddService(b.nc, micro.Config{
		Name: kind.name(), Version: semanticVersion(version),
		Description: fmt.Sprintf("The %s of a fleet", kind),
		Metadata:    b.serviceMetadata(version),
		Endpoint: &micro.EndpointConfig{
			Subject: b.subjects.Prefix() + ".service." + string(kind),
			Handler: micro.HandlerFunc(func(r micro.Request) { _ = r.RespondJSON(report()) }), // the asker may be gone
		},
		StatsHandler: func(*micro.Endpoint) any { return report() },
	})
	if err != nil {
		return nil, fmt.Errorf("announce %s: %w", kind, plain(err))
	}
	b.flush(context.Background()) // it can be found from here on
	return func() {
		_ = s.Stop() // fails only where the connection has ended
		b.flush(context.Background())
	}, nil
}

func (b *Bus) serviceMetadata(version string) map[string]string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return map[string]string{
		metaPrefix: b.subjects.Prefix(), metaHost: host, metaPID: strconv.Itoa(os.Getpid()),
		metaVersion: version, metaStarted: time.Now().UTC().Format(time.RFC3339Nano),
	}
}

// semanticVersion is the version as the protocol wants one, 0.0.0 for a build
// that has none.
func semanticVersion(version string) string {
	if v := semver.Canonical(version); v != "" {
		return strings.TrimPrefix(v, "v")
	}
	return "0.0.0"
}

const (
	// servicesTimeout bounds the wait for services to answer.
	servicesTimeout = 300 * time.Millisecond
	// servicesQuiet is how long no further answer has to come for all to have
	// come; on a slow connection it is as long as the first took.
	servicesQuiet = 60 * time.Millisecond
)

// Services asks the planners and executors of this fleet who they are. It
// returns those that answered, planners first, oldest first: at once when there
// is none, and in any case after 300 ms. A process that is dead, paused or cut
// off does not answer. Who must not publish on $SRV.> finds nobody.
func (b *Bus) Services(ctx context.Context) ([]Service, error) {
	ctx, cancel := context.WithTimeout(ctx, servicesTimeout)
	defer cancel()
	answers := make(chan *nats.Msg, 1024)
	sub, err := b.nc.ChanSubscribe(b.nc.NewInbox(), answers)
	if err != nil {
		return nil, fmt.Errorf("ask for services: %w", plain(err))
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only where the connection has ended
	for _, kind := range ServiceKinds {
		subject, err := micro.ControlSubject(micro.StatsVerb, kind.name(), "")
		if err == nil {
			err = b.nc.PublishRequest(subject, sub.Subject, nil)
		}
		if err != nil {
			return nil, fmt.Errorf("ask for services: %w", plain(err))
		}
	}
	found := b.gather(ctx, answers)
	slices.SortStableFunc(found, func(x, y Service) int {
		if c := slices.Index(ServiceKinds[:], x.Kind) - slices.Index(ServiceKinds[:], y.Kind); c != 0 {
			return c
		}
		return x.Since.Compare(y.Since)
	})
	return found, nil
}

// gather reads answers until ctx ends, nobody else seems to answer, or nobody
// listens at all.
func (b *Bus) gather(ctx context.Context, answers <-chan *nats.Msg) []Service {
	found := []Service{}
	asked := time.Now()
	quiet := time.NewTimer(servicesTimeout)
	defer quiet.Stop()
	answered, deaf := make(map[ServiceKind]bool), 0
	var pause time.Duration
	for deaf < len(ServiceKinds) {
		select {
		case <-ctx.Done():
			return found
		case <-quiet.C:
			return found
		case m := <-answers:
			if len(m.Data) == 0 && m.Header.Get("Status") == "503" { // no responders
				deaf++
			} else if s, err := b.service(m.Data); err == nil {
				found, answered[s.Kind] = append(found, s), true
			}
			if pause == 0 {
				pause = max(servicesQuiet, time.Since(asked))
			}
			if len(answered)+deaf == len(ServiceKinds) {
				quiet.Reset(pause) // of each kind it is known whether there is one
			}
		}
	}
	return found
}

var errOtherFleet = errors.New("service of another fleet")

// service reads an answer; it fails for a service of another fleet.
func (b *Bus) service(answer []byte) (Service, error) {
	var stats micro.Stats
	if err := json.Unmarshal(answer, &stats); err != nil {
		return Service{}, err
	}
	if stats.Metadata[metaPrefix] != b.subjects.Prefix() || len(stats.Endpoints) == 0 {
		return Service{}, errOtherFleet
	}
	pid, err := strconv.Atoi(stats.Metadata[metaPID])
	if err != nil {
		return Service{}, err
	}
	s := Service{
		Kind: ServiceKind(strings.TrimPrefix(stats.Name, "fleetfold-")), ID: stats.ID, PID: pid,
		Host: stats.Metadata[metaHost], Version: stats.Metadata[metaVersion],
	}
	if s.Since, err = time.Parse(time.RFC3339Nano, stats.Metadata[metaStarted]); err != nil {
		return Service{}, err
	}
	return s, json.Unmarshal(stats.Endpoints[0].Data, &s.ServiceReport)
}
