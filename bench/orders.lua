-- orders.lua - wrk's requests for `bench e2e`: one POST after the other from ready-made texts.
--
-- Arguments after `--`: the path, a file of tokens, then the bodies. Requests go round all tokens
-- with one body, then round again with the next, so that buying and selling take turns.
-- SPDX-License-Identifier: Apache-2.0

local requests, at, threads = {}, 0, 0

-- Threads begin at different places of the round.
function setup(thread)
    threads = threads + 1
    thread:set("place", threads * 37)
end

function init(arguments)
    local path, tokens, bodies = arguments[1], {}, {}
    for token in io.lines(arguments[2]) do tokens[#tokens + 1] = token end
    for i = 3, #arguments do bodies[#bodies + 1] = arguments[i] end
    for _, body in ipairs(bodies) do
        for _, token in ipairs(tokens) do
            requests[#requests + 1] = wrk.format("POST", path, {
                ["Authorization"] = "Bearer " .. token,
                ["Content-Type"] = "application/json",
            }, body)
        end
    end
    at = place
end

function request()
    at = at % #requests + 1
    return requests[at]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        'JSON {"per_second": %d, "p50_us": %d, "p99_us": %d, "max_us": %d, "requests": %d, ' ..
        '"refused": %d, "broken": %d}\n',
        math.floor(summary.requests * 1e6 / summary.duration), latency:percentile(50),
        latency:percentile(99), latency.max, summary.requests, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout))
end
