package inventory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/moby/moby/client"
	"github.com/moby/sys/atomicwriter"

	"plimsoll/checks/host"
)

// A keyRecord remembers since when keys of swarms are the same, which no engine
// tells. It holds no key but a short digest of each, from which a key of 128
// random bits and more cannot be found. The zero value remembers nothing, and
// then no key is asked for.
type keyRecord struct{ path string }

// UserKeys returns the file for [Options.Keys] of this user, "" when there is
// no place for it.
func UserKeys() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "plimsoll", "swarm-keys.json")
}

// seen is a key since it was first seen.
type seen struct {
	Digest string    `json:"digest"`
	Since  time.Time `json:"since"`
}

// of returns since when the keys of the swarm that h manages are the same, nil
// when there is no record. It is renewed by the way.
func (k keyRecord) of(ctx context.Context, c *client.Client, h *host.Host) *host.Keys {
	cluster := h.Info.Swarm.Cluster
	if k.path == "" || cluster == nil {
		return nil
	}
	now := map[string]string{}
	if s, err := c.SwarmInspect(ctx, client.SwarmInspectOptions{}); err == nil {
		now["worker"], now["manager"] = s.Swarm.JoinTokens.Worker, s.Swarm.JoinTokens.Manager
	}
	if cluster.Spec.EncryptionConfig.AutoLockManagers {
		if key, err := c.SwarmGetUnlockKey(ctx); err == nil {
			now["unlock"] = key.Key
		}
	}
	since, err := k.renew(cluster.ID, now, h.Now)
	if err != nil {
		return nil // where nothing can be written, nothing can be remembered
	}
	return &host.Keys{Worker: since["worker"], Manager: since["manager"], Unlock: since["unlock"]}
}

// renew notes the keys of a swarm by name as seen at now, and returns since
// when each is the same.
func (k keyRecord) renew(swarm string, keys map[string]string, now time.Time) (map[string]time.Time, error) {
	all := map[string]map[string]seen{}
	if data, err := readFile(k.path); err == nil {
		_ = json.Unmarshal(data, &all) // what cannot be read is begun anew
	}
	if all == nil {
		all = map[string]map[string]seen{}
	}
	if all[swarm] == nil {
		all[swarm] = map[string]seen{}
	}
	since, changed := map[string]time.Time{}, false
	for name, key := range keys {
		if key == "" {
			continue
		}
		digest := digestOf(swarm, key)
		if all[swarm][name].Digest != digest {
			all[swarm][name] = seen{digest, now.UTC().Truncate(time.Second)}
			changed = true
		}
		since[name] = all[swarm][name].Since
	}
	if !changed {
		return since, nil
	}
	data, err := json.Marshal(all)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(k.path), 0o700)
	}
	if err == nil {
		err = atomicwriter.WriteFile(k.path, data, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("remembering the keys of the swarm: %w", err)
	}
	return since, nil
}

func digestOf(swarm, key string) string {
	sum := sha256.Sum256([]byte("plimsoll " + swarm + " " + key))
	return hex.EncodeToString(sum[:8])
}
