"""A partner's first two minutes with what `firmwire up` starts: page, button, line, answer."""

import re
import time

from chassis import clock


def test_page_button_line_answer(firm):
    """The line on the page works as it stands; the key in it opens the sandbox and nothing more."""
    live = firm.key("process:billing:read")
    with firm.client() as browser:
        browser.auth = ("partner", live.secret)
        ends_s = clock.monotonic() + 10
        while (page := browser.get("/portal")).status_code == 401 and clock.monotonic() < ends_s:
            time.sleep(0.02)  # house: sleep until the data plane has the key
        assert page.status_code == 200
        mark = re.search(r'name="mark" value="([0-9a-f]+)"', page.text)[1]
        answer = browser.post(
            "/portal/test-keys",
            data={"mark": mark, "label": "first"},
            headers={"origin": firm.platform.gateway_url},
        )
    assert answer.status_code == 201, answer.text
    line = re.search(r'<code id="call">curl -H "(.+?): (.+?)" (\S+)</code>', answer.text)
    name, value, url = line.groups()
    assert value.startswith("Bearer fw_test_")
    assert url == f"{firm.platform.gateway_url}/process/v1/billing-runs"
    with firm.client() as curl:
        ends_s = clock.monotonic() + 10
        while (
            called := curl.get(url, headers={name: value})
        ).status_code == 401 and clock.monotonic() < ends_s:
            time.sleep(0.02)  # house: sleep until the data plane has the key
        assert (called.status_code, called.json()["items"]) == (200, [])
        refused = curl.get("/experience/v1/operations", headers={name: value})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
