//! What readers of each format look for.

#[rustfmt::skip]
pub const HTML: &[&str] = &[
    "<div>", "</div>", "<p>", "</p>", "<b>", "</b>", "<h1>", "<h2>a</h2>", "<ul>", "<li>", "<table>", "<tr>", "<th>",
    "<td>", "<td colspan='4294967295' rowspan='4294967295'>", "</table>", "<a href='b'>", "<a ", "b='c' ", "<pre>",
    "<main>", "<nav>", "<template>", "<svg>", "<math>", "<select>", "<option>", "<textarea>", "<title>", "<script>",
    "</script>", "<style>", "<meta charset='utf-16'>", "<base href='//a'>", "<!--", "-->", "<![CDATA[", "]]>",
    "<!DOCTYPE", "<?a", "&amp;", "&#x41;", "&#4294967296;", "&notit", "&", "<", ">", "'", "\"", "\0", "\n", "a ",
];

#[rustfmt::skip]
pub const MARKDOWN: &[&str] = &[
    "# ", "## ", "###### a\n", "- ", "  ", "    ", "1. ", "999999999. ", "> ", "|", "|a|b|\n", "|-|-|\n", "[", "]",
    "](", ")", "![", "[a]: b\n", "[^1]: ", "*", "**", "_", "`", "```\n", "~~~\n", "<div>", "<b>", "<!--", "---\n",
    "===\n", "title: ", "\\", "&amp;", "https://a.b/", "a@b.c ", "\n", "\n\n", "\t", "\r", "a ", "é",
];

#[rustfmt::skip]
pub const TEXT: &[&str] = &[
    "BAB I\n", "BAB I A\n", "Pasal 1\n", "(1) ", "1. ", "1.1.1 ", "a. ", "- ", "* ", "A ", "A\n", "a", "a ", ".", ". ",
    "?", ":", "-\n", ".....", "\n", "\n\n", "\t", "\r", "\u{c}", "\u{ad}\n", "\u{301}", "\u{feff}", "\u{202e}", "\0",
];

#[rustfmt::skip]
pub const COMMA_SEPARATED: &[&str] = &[
    ",", ";", "\t", "|", "\"", "\"\"", "\"a\nb\"", "\n", "\r\n", "\r", "a", "1", "1,5", " ", "#", "\\", "\u{feff}", "é",
    "judul,isi\n", "id,title,text,url\n", "a,b,c\n", "\0",
];

#[rustfmt::skip]
pub const JSON: &[&str] = &[
    "{", "}", "[", "]", "\"a\":", "\"id\":", "\"title\":", "\"text\":", "\"url\":", "{\"a\":", "[{", "{},", "1,", ",",
    ":", "null", "true", "1e999", "-0", "1", "\"", "\"a\",", "\\", "\\u0000", "\\ud800", "\\n", "\n", "{\"a\":1}\n", " ",
    "{\"text\":\"a\"}\n", "\u{feff}", "\0",
];

#[rustfmt::skip]
pub const WORD: &[&str] = &[
    "<w:p>", "</w:p>", "<w:r>", "</w:r>", "<w:t>", "</w:t>", "<w:t>a</w:t>", "<w:p><w:r><w:t>a</w:t></w:r></w:p>",
    "<w:tbl>", "</w:tbl>", "<w:tr>", "</w:tr>", "<w:tc>", "</w:tc>", "<w:gridSpan w:val='4294967295'/>",
    "<w:vMerge w:val='restart'/>", "<w:pStyle w:val='Heading1'/>", "<w:outlineLvl w:val='4294967295'/>",
    "<w:numPr><w:ilvl w:val='4294967295'/><w:numId w:val='1'/></w:numPr>", "<w:style w:styleId='Heading1'>",
    "<w:basedOn w:val='Heading1'/>", "<w:name w:val='Title'/>", "<mc:AlternateContent>", "<mc:Fallback>",
    "</mc:Fallback>", "<w:tab/>", "<w:br/>", "<w:del>", "<w:fldChar/>", "<w:footnoteReference w:id='1'/>",
    "<!DOCTYPE a [<!ENTITY b 'c'>]>", "&b;", "&#65;", "&#4294967296;", "&amp;", "&", "<![CDATA[", "]]>", "<!--", "-->",
    "<?a?>", "a='b' ", "a",
];

#[rustfmt::skip]
pub const SHEET: &[&str] = &[
    "<row>", "</row>", "<row r='1048576'>", "<c>", "</c>", "<c r='XFD1048576' t='s'>", "<c t='inlineStr'>", "<c t='b'>",
    "<c t='d'>", "<c t='e'>", "<c s='4294967295'>", "<v>0</v>", "<v>4294967295</v>", "<v>1e308</v>", "<is><t>a</t></is>",
    "<row><c t='s'><v>0</v></c></row>", "<f t='shared' ref='A1:XFD1048576' si='4294967295'>A1</f>", "<si><t>a</t></si>",
    "<si><r><t>", "<phoneticPr/>", "<mergeCell ref='A1:XFD1048576'/>", "<dimension ref='A1:XFD1048576'/>",
    "<sheet name='A' sheetId='1' r:id='rId1'/>", "<definedName name='a'>", "<numFmt numFmtId='14' formatCode='[h]'/>",
    "<xf numFmtId='14'/>", "<cellXfs count='4294967295'>", "<sheetData>", "</sheetData>", "<workbookPr date1904='1'/>",
    "<Relationship Id='rId1' Type='worksheet' Target='/'/>", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "&b;", "&#65;", "&amp;",
    "&", "<![CDATA[", "]]>", "<!--", "-->", "a='b' ", "a",
];
