package eventlog

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// ServerHealth is what one server says of itself. JetStream's API tells none of
// it; the server's monitoring page and its system account do.
type ServerHealth struct {
	// ID is new at each start of a server; Name stays.
	ID, Name, Version string
	// Cluster is empty for a lone server.
	Cluster string
	// JetStream: it keeps streams. What follows says how, and is zero without.
	JetStream bool
	// SyncAlways: what it acknowledges is on disk. Otherwise it may wait for that
	// as long as SyncInterval, and a power cut takes it back.
	SyncAlways   bool
	SyncInterval time.Duration
	// Limits of the server over all accounts.
	Limits []Limit
}

// Limit is how much of something is used up.
type Limit struct {
	// What it is, such as "storage of the account".
	What string
	// Used and Max in Unit, "bytes" or "". Max is always above 0.
	Used, Max uint64
	Unit      string
}

// varz is what we read of a server's /varz.
type varz struct {
	ID        string `json:"server_id"`
	Name      string `json:"server_name"`
	Version   string `json:"version"`
	Cluster   struct{ Name string }
	JetStream struct {
		Config *struct {
			MaxMemory    int64         `json:"max_memory"`
			MaxStorage   int64         `json:"max_storage"`
			SyncInterval time.Duration `json:"sync_interval"`
			SyncAlways   bool          `json:"sync_always"`
		}
		Stats struct{ Memory, Storage uint64 }
	}
}

func (v varz) health() ServerHealth {
	h := ServerHealth{ID: v.ID, Name: v.Name, Version: v.Version, Cluster: v.Cluster.Name}
	c := v.JetStream.Config
	if c == nil {
		return h
	}
	h.JetStream, h.SyncAlways = true, c.SyncAlways
	if !c.SyncAlways {
		h.SyncInterval = c.SyncInterval
	}
	h.Limits = limits(h.Limits, "memory of server "+h.Name, v.JetStream.Stats.Memory, c.MaxMemory, "bytes")
	h.Limits = limits(h.Limits, "storage of server "+h.Name, v.JetStream.Stats.Storage, c.MaxStorage, "bytes")
	return h
}

// limits appends what is bounded at all: zero and below mean without end.
func limits(all []Limit, what string, used uint64, most int64, unit string) []Limit {
	if most <= 0 {
		return all
	}
	return append(all, Limit{What: what, Used: used, Max: uint64(most), Unit: unit})
}

// maxVarz bounds what is read of a monitoring page.
const maxVarz = 4 << 20

// CheckMonitor checks the URL of a monitoring page, such as http://127.0.0.1:8222.
func CheckMonitor(monitor string) error {
	u, err := url.Parse(monitor)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is no http URL", redactPage(monitor))
	}
	return nil
}

// redactPage leaves out user and password of a page.
func redactPage(page string) string {
	u, err := url.Parse(page)
	if err != nil {
		return "(unreadable URL)"
	}
	return u.Redacted()
}

// AskMonitor asks the monitoring page of one server.
func AskMonitor(ctx context.Context, monitor string) (ServerHealth, error) {
	if err := CheckMonitor(monitor); err != nil {
		return ServerHealth{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(monitor, "/")+"/varz", nil)
	if err != nil {
		return ServerHealth{}, fmt.Errorf("ask monitor %s: %w", redactPage(monitor), err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return ServerHealth{}, fmt.Errorf("ask monitor: %w", err) // it names the URL
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return ServerHealth{}, fmt.Errorf("ask monitor %s: it answered %s", redactPage(monitor), answer.Status)
	}
	var v varz
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxVarz)).Decode(&v); err != nil {
		return ServerHealth{}, fmt.Errorf("read answer of monitor %s: %w", redactPage(monitor), err)
	}
	if v.ID == "" {
		return ServerHealth{}, fmt.Errorf("read answer of monitor %s: it is no NATS server's", redactPage(monitor))
	}
	return v.health(), nil
}

// Servers are what the monitoring pages of several servers said.
type Servers struct {
	Heard []ServerHealth
	// Asked is how many pages were; Silent says why some did not answer.
	Asked  int
	Silent []error
}

// monitorTimeout bounds the question to the monitoring pages.
const monitorTimeout = 2 * time.Second

// AskMonitors asks all pages at once.
func AskMonitors(ctx context.Context, monitors []string) Servers {
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	heard, errs := make([]ServerHealth, len(monitors)), make([]error, len(monitors))
	var asking sync.WaitGroup
	for i, m := range monitors {
		asking.Go(func() { heard[i], errs[i] = AskMonitor(ctx, m) })
	}
	asking.Wait()
	s := Servers{Asked: len(monitors)}
	for i := range monitors {
		if errs[i] != nil {
			s.Silent = append(s.Silent, errs[i])
			continue
		}
		s.Heard = append(s.Heard, heard[i])
	}
	return s
}
