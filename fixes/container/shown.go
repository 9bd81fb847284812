package container

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/docker/go-units"

	"plimsoll/checks/secret"
)

// bytes returns n as people write it.
func bytes(n int64) string { return units.BytesSize(float64(n)) }

// shown returns the JSON value of a setting as it may be shown.
func shown(field, value string) string {
	if value == "" {
		switch field {
		case "HostConfig.Memory", "HostConfig.MemorySwap", "HostConfig.NanoCpus", "HostConfig.PidsLimit":
			return "unlimited"
		case "HostConfig.ReadonlyRootfs", "HostConfig.Privileged", "HostConfig.PublishAllPorts":
			return "false"
		}
		return "–"
	}
	switch field {
	case "HostConfig.Memory", "HostConfig.MemorySwap", "HostConfig.MemoryReservation", "HostConfig.ShmSize":
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			if n < 0 {
				return "unlimited"
			}
			return units.BytesSize(n)
		}
	case "HostConfig.NanoCpus":
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			return strconv.FormatFloat(n/1e9, 'f', -1, 64) + " CPUs"
		}
	}
	if strings.HasPrefix(field, "Networks.") && value == "true" {
		return "connected"
	}
	var list []any
	if json.Unmarshal([]byte(value), &list) == nil {
		var items []string
		for _, item := range list {
			items = append(items, masked(plainJSON(item)))
		}
		return strings.Join(items, ", ")
	}
	var text string
	if json.Unmarshal([]byte(value), &text) == nil {
		value = text
	}
	last := field[strings.LastIndexByte(field, '.')+1:]
	if secret.Variable(last, value) {
		return secret.Mask
	}
	return masked(value)
}

func plainJSON(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	if m, ok := v.(map[string]any); ok { // a published port
		if port, ok := m["HostPort"].(string); ok {
			ip, _ := m["HostIp"].(string)
			return ip + ":" + port
		}
	}
	data, _ := json.Marshal(v) // it came from JSON
	return string(data)
}

// masked returns s, which may be NAME=value, without what is secret in it.
func masked(s string) string {
	if name, value, ok := strings.Cut(s, "="); ok && secret.Variable(name, value) {
		return clean(name) + "=" + secret.Mask
	}
	return clean(s)
}
