package agentcmd

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/receiver"
)

// postType is the type of the posts by which a rollout can be watched.
const postType = "fleetfold.post"

// postTimeout bounds one post. It is shorter than the time that a proof waits for
// unsigned posts to end.
const postTimeout = 3 * time.Second

// postFlags say whom the node posts to.
type postFlags struct {
	urls  []string
	every time.Duration
}

func (f *postFlags) addTo(fs *pflag.FlagSet) {
	fs.StringSliceVar(&f.urls, "posts", nil, "`URL`s of receivers, with commas between them, that the node posts to, each every --post-every: signed as soon as it has a credential")
	fs.DurationVar(&f.every, "post-every", time.Second, "`DURATION` between two posts to one receiver, above 0")
}

func (f *postFlags) check() error {
	if f.every <= 0 {
		return cli.Usagef("--post-every is %s, must be above 0", f.every)
	}
	for _, text := range f.urls {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return cli.Usagef("--posts: %q is no URL of HTTP", text)
		}
	}
	return nil
}

// poster posts to peers. It is a prometheus.Collector.
type poster struct {
	postFlags
	agent  *agent.Agent
	log    zerolog.Logger
	client *http.Client

	mu     sync.Mutex
	counts map[outcome]uint64
	warned map[outcome]time.Time
}

// outcome of a post: accepted, refused with the receiver's reason, or failed.
type outcome struct{ result, reason string }

func newPoster(f postFlags, a *agent.Agent, log zerolog.Logger) *poster {
	p := &poster{postFlags: f, agent: a, log: log, counts: make(map[outcome]uint64), warned: make(map[outcome]time.Time)}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = nil // peers are named as they are
	p.client = &http.Client{
		Transport: &receiver.Transport{Base: base, Credential: p.credential}, Timeout: postTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a peer must not lead us to another
	}
	return p
}

// credential is what the agent signs with now.
func (p *poster) credential() (*receiver.Credential, func(), error) {
	key, c, done, err := p.agent.Signing()
	if c == nil || err != nil {
		return nil, done, err
	}
	id, err := identity.SPIFFEID(c.TrustDomain, p.agent.Node())
	return &receiver.Credential{Key: key, ChainPEM: []byte(c.CertificatePEM), ID: id}, done, err
}

// run posts until ctx ends, and says then what became of it.
func (p *poster) run(ctx context.Context) {
	var peers sync.WaitGroup
	for _, to := range p.urls {
		peers.Go(func() { p.postTo(ctx, to) })
	}
	peers.Wait()
	p.client.CloseIdleConnections()
	p.mu.Lock()
	defer p.mu.Unlock()
	line := p.log.Info()
	for o, n := range p.counts {
		line = line.Uint64(strings.TrimSuffix(o.result+"_"+o.reason, "_"), n)
	}
	line.Msg("posts sent")
}

func (p *poster) postTo(ctx context.Context, to string) {
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	session := rand.Text()
	for n := uint64(1); ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		o, detail := p.post(ctx, to, session+"-"+strconv.FormatUint(n, 10))
		if ctx.Err() == nil && !p.agent.Stopping() { // else it was cut off
			p.note(o, to, detail)
		}
	}
}

// post sends one post and says what became of it.
func (p *poster) post(ctx context.Context, to, id string) (o outcome, detail string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(fmt.Sprintf("{\"post\":%q}", id)))
	if err != nil {
		return outcome{result: "failed"}, err.Error()
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": id, "Ce-Type": postType,
		"Ce-Source": events.EncodeHeaderValue(events.NodeSource(p.agent.Node())),
	} {
		req.Header.Set(name, value)
	}
	answer, err := p.client.Do(req)
	if err != nil {
		return outcome{result: "failed"}, err.Error()
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10)) // it only explains
	reason := fleet.Reason(answer.Header.Get(receiver.ReasonHeader))
	switch {
	case answer.StatusCode < 300:
		return outcome{result: "accepted"}, ""
	case answer.StatusCode >= 500:
		return outcome{result: "failed"}, answer.Status + " " + string(text)
	case !receiver.KnownReason(reason): // a peer must not choose names of metrics
		reason = "other"
	}
	return outcome{"refused", string(reason)}, string(text)
}

// note counts, and logs each kind of trouble at most once a minute.
func (p *poster) note(o outcome, to, detail string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[o]++
	if o.result == "accepted" || time.Since(p.warned[o]) < time.Minute {
		return
	}
	p.warned[o] = time.Now()
	p.log.Warn().Str(field.URL, to).Str(field.Reason, o.reason).Str(field.Why, detail).Msg("post " + o.result)
}

var sentDesc = prometheus.NewDesc("fleetfold_posts_sent_total",
	"Posts by result: accepted, refused (with the receiver's reason) or failed, which says nothing of the receiver's mind.", []string{"result", "reason"}, nil)

// Describe implements prometheus.Collector.
func (p *poster) Describe(ch chan<- *prometheus.Desc) { ch <- sentDesc }

// Collect implements prometheus.Collector.
func (p *poster) Collect(ch chan<- prometheus.Metric) {
	p.mu.Lock()
	counts := maps.Clone(p.counts)
	p.mu.Unlock()
	for _, o := range slices.Collect(maps.Keys(counts)) {
		ch <- prometheus.MustNewConstMetric(sentDesc, prometheus.CounterValue, float64(counts[o]), o.result, o.reason)
	}
}
