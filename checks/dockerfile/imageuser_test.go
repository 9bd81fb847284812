package dockerfile

import "testing"

func TestNonRootByName(t *testing.T) {
	for image, want := range map[string]bool{
		"docker.elastic.co/elasticsearch/elasticsearch:8.14.0": true, "grafana/grafana": true, "docker.io/bitnami/redis:7": true,
		"library/memcached:1.6": true, "gcr.io/distroless/static:nonroot": true, "docker:27-dind-rootless": true, "nginxinc/nginx-unprivileged": true,
		"debian:12": false, "example.com/grafana/grafana": false, "grafana/loki-build-image": false, "bitnami": false, "mybitnami/redis": false,
	} {
		if got := nonRootByName(parseReference(image)); got != want {
			t.Errorf("%s: %t", image, got)
		}
	}
}
