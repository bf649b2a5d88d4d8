/*
 * page.c - the few answers that need nobody: ping, the landing text, the description and its page.
 *
 * The page holds its own style and script and loads nothing but /api/openapi.json.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "gateway/shell/shell.h"

static const char landing_text[] =
    "{\"name\":\"scrip\",\"what\":\"a paper-trading exchange\",\"links\":{\"page\":\"/api/docs\","
    "\"openapi\":\"/api/openapi.json\",\"sign_up\":\"POST /api/auth/register\","
    "\"orders\":\"POST /api/paper-trading/orders\",\"symbols\":\"/api/market/symbols\","
    "\"ticker\":\"/api/market/ticker\",\"stream\":\"WebSocket /ws\"}}\n";

static const char page_text[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
    "<title>Scrip API</title><style>\n"
    "body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;"
    "color:#1c2330;background:#fbfbf9}\n"
    "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem;text-transform:capitalize}\n"
    "details{border:1px solid #dcdcd4;border-radius:6px;margin:.4rem 0;background:#fff}\n"
    "summary{padding:.5rem .7rem;cursor:pointer;display:flex;gap:.7rem;align-items:baseline;"
    "flex-wrap:wrap}\n"
    ".m{font:600 12px monospace;width:4.2rem;text-align:center;border-radius:4px;color:#fff;"
    "padding:.15rem 0}\n"
    ".get{background:#23689b}.post{background:#2c7a4b}.put{background:#a6691a}"
    ".delete{background:#a13a3a}\n"
    "code,pre{font-family:ui-monospace,monospace;font-size:13px}\n"
    ".in{padding:0 .9rem .8rem}.lock{color:#8a8a80;font-size:12px}\n"
    "table{border-collapse:collapse;width:100%}td{border-top:1px solid #eee;padding:.25rem .5rem;"
    "vertical-align:top}\n"
    "pre{background:#f3f3ee;padding:.6rem;overflow:auto;border-radius:4px}\n"
    "</style></head><body><h1>Scrip API</h1><p id=\"about\">Loading /api/openapi.json ...</p>"
    "<div id=\"all\"></div><script>\n"
    "const el=(tag,text,cls)=>{const e=document.createElement(tag);if(text!==undefined)"
    "e.textContent=text;if(cls)e.className=cls;return e};\n"
    "const name=ref=>ref.split('/').pop();\n"
    "const type=s=>!s?'':s.$ref?name(s.$ref):s.allOf?type(s.allOf[0]):s.oneOf?"
    "s.oneOf.map(type).join(' or '):s.enum?s.enum.join(' | '):s.type==='array'?"
    "'list of '+type(s.items):s.type;\n"
    "function rows(list){const t=el('table');for(const[a,b,c]of list){const r=el('tr');"
    "const k=el('td');k.append(el('code',a));r.append(k,el('td',b),el('td',c||''));t.append(r)}"
    "return t}\n"
    "function fields(api,schema){if(!schema)return el('p','No body.');const s=schema.$ref?"
    "api.components.schemas[name(schema.$ref)]:schema;if(!s.properties)return "
    "el('p',type(schema));const must=s.required||[];return rows(Object.entries(s.properties)"
    ".map(([k,v])=>[k+(must.includes(k)?' *':''),type(v),v.description]))}\n"
    "fetch('/api/openapi.json').then(r=>r.json()).then(api=>{\n"
    "document.getElementById('about').textContent=api.info.description;\n"
    "const groups={};for(const[path,ops]of Object.entries(api.paths))for(const[method,op]of "
    "Object.entries(ops))(groups[op.tags[0]]=groups[op.tags[0]]||[]).push({path,method,op});\n"
    "const all=document.getElementById('all');\n"
    "for(const[tag,list]of Object.entries(groups)){all.append(el('h2',tag));"
    "for(const{path,method,op}of list){const d=el('details'),s=el('summary');"
    "s.append(el('span',method.toUpperCase(),'m '+method),el('code',path),el('span',op.summary));"
    "if(op.security.length)s.append(el('span','bearer token','lock'));"
    "const b=el('div',undefined,'in');"
    "if(op.parameters.length){b.append(el('h4','Parameters'),rows(op.parameters.map(p=>"
    "[p.name+(p.required?' *':''),p.in+': '+type(p.schema),p.description])))}"
    "if(op.requestBody){const j=op.requestBody.content['application/json'];"
    "b.append(el('h4','Body'),fields(api,j.schema));"
    "for(const x of Object.values(j.examples||{}))b.append(el('p',x.summary),"
    "el('pre',JSON.stringify(x.value,null,2)))}"
    "for(const[code,r]of Object.entries(op.responses)){if(!r.content)continue;"
    "b.append(el('h4','Answer '+code),fields(api,Object.values(r.content)[0].schema))}"
    "d.append(s,b);all.append(d)}}\n"
    "all.append(el('h2','schemas'));for(const[k,v]of Object.entries(api.components.schemas)){"
    "const d=el('details'),s=el('summary');s.append(el('code',k),el('span',v.description||''));"
    "const b=el('div',undefined,'in');b.append(fields(api,v));d.append(s,b);all.append(d)}\n"
    "}).catch(e=>{document.getElementById('about').textContent='Failed: '+e});\n"
    "</script></body></html>\n";

void
own_ping(struct shell *s, struct request *r, const struct http_request *h)
{
    (void)h;
    answer_text(s, r, 200, NULL, "{}", 2);
}

void
own_landing(struct shell *s, struct request *r, const struct http_request *h)
{
    (void)h;
    answer_text(s, r, 200, NULL, landing_text, sizeof landing_text - 1);
}

void
own_openapi(struct shell *s, struct request *r, const struct http_request *h)
{
    (void)h;
    answer_json(s, r, 200, &s->openapi);
}

void
own_docs(struct shell *s, struct request *r, const struct http_request *h)
{
    (void)h;
    answer_text(s, r, 200, "text/html; charset=utf-8", page_text, sizeof page_text - 1);
}
