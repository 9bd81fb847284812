package host

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll/checks"
)

// What lies about: nobody patches it, and it can be read or started again.

const (
	manyImages     = 30
	manyContainers = 20
	muchCache      = 10 << 30
)

var imageSprawl = check(checks.Check{
	ID:       "host-image-sprawl",
	Title:    "Many images that nothing uses",
	Severity: checks.Info,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 6.1 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Usage.UnusedImages < manyImages {
		return
	}
	report(checks.Finding{
		Message: checks.Msg("%d images of %s have no container, not even a stopped one", h.Usage.UnusedImages, h.Ref().Name),
		Evidence: []checks.Evidence{{
			Source: "docker image ls, docker ps --all",
			Detail: fmt.Sprintf("%d of %d images unused, %s", h.Usage.UnusedImages, h.Usage.Images, size(h.Usage.UnusedSize)),
		}},
	})
})

var containerSprawl = check(checks.Check{
	ID:       "host-container-sprawl",
	Title:    "Many stopped containers",
	Severity: checks.Info,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 6.2 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Info.ContainersStopped < manyContainers {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("%d stopped containers wait on %s with everything they wrote", h.Info.ContainersStopped, h.Ref().Name),
		Evidence: []checks.Evidence{{Source: "docker info, ContainersStopped", Detail: fmt.Sprint(h.Info.ContainersStopped)}},
	})
})

var buildCacheSprawl = check(checks.Check{
	ID:       "host-build-cache-sprawl",
	Title:    "A large build cache",
	Severity: checks.Info,
	Chapter:  checks.Secrets,
	Refs:     []string{"CWE-459"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Usage.BuildCache < muchCache {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("%s of old build steps are kept on %s, with whatever was copied into them", size(h.Usage.BuildCache), h.Ref().Name),
		Evidence: []checks.Evidence{{Source: "docker system df, build cache", Detail: size(h.Usage.BuildCache)}},
	})
})

func size(bytes int64) string { return fmt.Sprintf("%.1f GB", float64(bytes)/1e9) }

// enterprise are repositories of the product that Docker sold until 2019.
var enterprise = []string{"docker/ucp", "docker/dtr", "mirantis/ucp", "mirantis/dtr"}

var enterpriseRetired = check(checks.Check{
	ID:       "docker-enterprise-ucp-dtr",
	Title:    "Docker Enterprise is retired",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"CIS 8.1 (v1.6.0)", "CIS 8.2 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	var seen []checks.Evidence
	if strings.HasPrefix(h.Platform, "Docker Engine - Enterprise") {
		seen = append(seen, checks.Evidence{Source: "docker version, Platform", Detail: h.Platform})
	}
	for _, c := range h.Containers {
		name := repository(c.Image)
		if slices.ContainsFunc(enterprise, func(e string) bool { return name == e || strings.HasPrefix(name, e+"-") }) {
			seen = append(seen, checks.Evidence{Source: "container " + c.Name, Detail: c.Image})
		}
	}
	if len(seen) == 0 {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("%s runs parts of Docker Enterprise, which are sold under other names today and patched only there", h.Ref().Name),
		Evidence: seen,
	})
})

var legacyStorageDriver = check(checks.Check{
	ID:       "daemon-legacy-storage-driver",
	Title:    "Storage driver that newer engines lack",
	Severity: checks.Low,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 2.6 (v1.6.0)", "CIS 2.11 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	if !slices.Contains([]string{"aufs", "devicemapper", "overlay"}, h.Info.Driver) {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("%s cannot be updated to a newer engine while it stores images with %s", h.Ref().Name, h.Info.Driver),
		Evidence: []checks.Evidence{{Source: "docker info, Driver", Detail: h.Info.Driver}},
	})
})

var experimentalOn = check(checks.Check{
	ID:       "daemon-experimental-on",
	Title:    "Experimental features are on",
	Severity: checks.Info,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 2.18 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	if !h.Info.ExperimentalBuild || h.desktop() {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("%s offers features that may change or vanish with any update", h.Ref().Name),
		Evidence: []checks.Evidence{{Source: "docker info, ExperimentalBuild", Detail: "true"}},
	})
})
